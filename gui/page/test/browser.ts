// What modules of the page take from a browser as they are loaded. It is imported first.
const nothing = () => {};
Object.assign(globalThis, {
  document: { hidden: false, addEventListener: nothing, documentElement: { setAttribute: nothing, removeAttribute: nothing } },
  location: { hash: "" },
  history: { state: null, replaceState: nothing },
  addEventListener: nothing,
  matchMedia: () => ({ matches: false, addEventListener: nothing }),
});
