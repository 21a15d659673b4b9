// The words of the server's API. Whatever comes over the wire goes through tidy: a field
// that is missing, null or of another type is undefined here, and blanks no page.

export interface Component {
  key: string; // KIND/ID
  kind: string;
  id: string;
  instance_id?: string;
  hostname?: string;
  port?: number;
  url?: string;
  status?: string;
  worker_type?: string;
  model?: string; // as people know it: a file, or a name
  serves?: string; // what requests call it, where that is something else
  engine?: string;
  hive?: string; // the id of its parent
  registered_at?: string;
  last_seen?: string;
  started_at?: string;
  metadata?: Fields;
  capabilities?: Fields;
  pid?: number;
  restarts?: number;
  local?: boolean;
  acts?: string; // base of what can be done to it
  why_not?: string; // why nothing can
  gone?: boolean; // the page's own: it was here, and is no more
  ended?: number; // and is not since then, by the server's clock
}

export type Fields = Record<string, unknown>;

export interface Registry {
  state: "connected" | "away" | "none" | "unknown";
  url?: string;
  cause?: string;
  as_of?: string;
}

export interface Happening {
  time?: string;
  key?: string;
  kind?: string;
  id?: string;
  what: string;
  text?: string;
  status?: string; // the one that it has since
}

export interface Hello {
  version?: string;
  hostname?: string;
  here: string;
  queen: string;
  time?: string; // the server's
}

export interface Device {
  index?: number;
  uuid?: string;
  name?: string;
  memory_bytes?: number;
  memory_used_bytes?: number;
}

export interface Engine {
  name: string;
  types: string[];
  explicit?: boolean;
  path?: string;
}

export interface Model {
  name: string;
  path?: string;
  architecture?: string;
  quantization?: string;
  parameters?: number;
  size_bytes?: number;
  memory_bytes?: number;
  context_length?: number;
  error?: string;
}

export interface Machine {
  hostname?: string;
  cores?: number;
  memory_bytes?: number;
  memory_available_bytes?: number;
  devices: Device[];
  engines: Engine[];
  models: Model[];
  model_dirs: { path: string; exists?: boolean; models?: number; error?: string }[];
  problems: string[];
}

export interface SpawnRequest {
  worker_type?: string;
  model?: string;
  engine?: string;
  port?: number;
  args?: string[];
  device?: string;
  hive_id?: string;
}

export interface Operation {
  operation_id: string;
  status: string;
  phase?: string;
  hive_id?: string;
  why?: string;
  request: SpawnRequest;
  worker_id?: string;
  worker?: { instance_id?: string; port?: number; pid?: number; registry: boolean; queen: boolean }; // as it was when it was ready
  error?: { detail?: string; stopped?: boolean; exit_code?: number; last_lines?: string[] }; // stopped: somebody wanted it
  started_at?: string;
  ended_at?: string;
}

export interface LaunchEvent {
  time?: string;
  event: string;
  id?: string;
  pid?: number;
  port?: number;
  url?: string;
  with?: string;
  error?: string;
  exit_code?: number;
  last_lines?: string[];
  wait_ms?: number;
  model_bytes?: number;
  seen?: { elapsed_ns?: number; rss_bytes?: number; cpu_ns?: number; io_bytes?: number; last_line?: string; waiting?: string; status?: string };
}

export interface LogLine {
  time?: string;
  stream?: string;
  text: string;
}

export interface Sample {
  time?: string;
  rss_bytes?: number;
  cpu_ms?: number;
  processes?: number;
}

export function isFields(v: unknown): v is Fields {
  return typeof v === "object" && v !== null && !Array.isArray(v);
}

// text is the field if it is a string that says something.
export function text(o: Fields, name: string): string | undefined {
  const v = o[name];
  return typeof v === "string" && v !== "" ? v : undefined;
}

export function number(o: Fields, name: string): number | undefined {
  const v = o[name];
  return typeof v === "number" && Number.isFinite(v) ? v : undefined;
}

function fields(o: Fields, name: string): Fields | undefined {
  const v = o[name];
  return isFields(v) && Object.keys(v).length > 0 ? v : undefined;
}

function list(o: Fields, name: string): Fields[] {
  const v = o[name];
  return Array.isArray(v) ? v.filter(isFields) : [];
}

function strings(o: Fields, name: string): string[] {
  const v = o[name];
  return Array.isArray(v) ? v.filter((x): x is string => typeof x === "string") : [];
}

const componentTexts = [
  "instance_id", "hostname", "url", "status", "worker_type", "model", "serves", "engine", "hive",
  "registered_at", "last_seen", "started_at", "acts", "why_not",
] as const;

// component is raw as a Component, undefined when nobody can tell which one it is.
export function component(raw: unknown): Component | undefined {
  if (!isFields(raw)) return undefined;
  const key = text(raw, "key");
  const kind = text(raw, "kind") ?? key?.split("/")[0];
  const id = text(raw, "id") ?? key?.slice(key.indexOf("/") + 1);
  if (!kind || !id) return undefined;
  const c: Component = { key: key ?? `${kind}/${id}`, kind, id };
  for (const name of componentTexts) {
    const v = text(raw, name);
    if (v !== undefined) c[name] = v;
  }
  for (const name of ["port", "pid", "restarts"] as const) {
    const v = number(raw, name);
    if (v !== undefined) c[name] = v;
  }
  for (const name of ["metadata", "capabilities"] as const) {
    const v = fields(raw, name);
    if (v) c[name] = v;
  }
  if (raw["local"] === true) c.local = true;
  return c;
}

export function registry(raw: unknown): Registry | undefined {
  if (!isFields(raw)) return undefined;
  const state = text(raw, "state");
  return {
    state: state === "connected" || state === "away" || state === "none" ? state : "unknown",
    url: text(raw, "url"), cause: text(raw, "cause"), as_of: text(raw, "as_of"),
  };
}

export function happening(raw: unknown): Happening | undefined {
  if (!isFields(raw)) return undefined;
  const what = text(raw, "what");
  const said = text(raw, "text");
  if (!what && !said) return undefined;
  return {
    time: text(raw, "time"), key: text(raw, "key"), kind: text(raw, "kind"), id: text(raw, "id"),
    what: what ?? "", text: said, status: text(raw, "status"),
  };
}

export function machine(raw: unknown): Machine {
  const m = isFields(raw) ? raw : {};
  return {
    hostname: text(m, "hostname"), cores: number(m, "cores"),
    memory_bytes: number(m, "memory_bytes"), memory_available_bytes: number(m, "memory_available_bytes"),
    devices: list(m, "devices").map((d) => ({
      index: number(d, "index"), uuid: text(d, "uuid"), name: text(d, "name"),
      memory_bytes: number(d, "memory_bytes"), memory_used_bytes: number(d, "memory_used_bytes"),
    })),
    engines: list(m, "engines").flatMap((e) => {
      const name = text(e, "name");
      return name ? [{ name, types: strings(e, "types"), explicit: e["explicit"] === true, path: text(e, "path") }] : [];
    }),
    models: list(m, "models").flatMap((x) => {
      const name = text(x, "name") ?? text(x, "path");
      return name
        ? [{
            name, path: text(x, "path"), architecture: text(x, "architecture"), quantization: text(x, "quantization"),
            parameters: number(x, "parameters"), size_bytes: number(x, "size_bytes"), memory_bytes: number(x, "memory_bytes"),
            context_length: number(x, "context_length"), error: text(x, "error"),
          }]
        : [];
    }),
    model_dirs: list(m, "model_dirs").map((d) => ({
      path: text(d, "path") ?? "?", exists: d["exists"] !== false, models: number(d, "models"), error: text(d, "error"),
    })),
    problems: strings(m, "problems"),
  };
}

export function operation(raw: unknown): Operation | undefined {
  if (!isFields(raw)) return undefined;
  const id = text(raw, "operation_id");
  if (!id) return undefined;
  const request = isFields(raw["request"]) ? raw["request"] : {};
  const error = isFields(raw["error"]) ? raw["error"] : undefined;
  const worker = isFields(raw["worker"]) ? raw["worker"] : undefined;
  return {
    operation_id: id, status: text(raw, "status") ?? "running", phase: text(raw, "phase"),
    hive_id: text(raw, "hive_id"), why: text(raw, "why"), worker_id: text(raw, "worker_id"),
    request: {
      worker_type: text(request, "worker_type"), model: text(request, "model"), engine: text(request, "engine"),
      port: number(request, "port"), device: text(request, "device"), hive_id: text(request, "hive_id"),
      args: strings(request, "args"),
    },
    worker: worker && { instance_id: text(worker, "instance_id"), port: number(worker, "port"), pid: number(worker, "pid"), registry: worker["registry"] === true, queen: worker["queen"] === true },
    error: error && { detail: text(error, "detail"), stopped: error["stopped"] === true, exit_code: number(error, "exit_code"), last_lines: strings(error, "last_lines") },
    started_at: text(raw, "started_at"), ended_at: text(raw, "ended_at"),
  };
}

export function launchEvent(raw: unknown): LaunchEvent | undefined {
  if (!isFields(raw)) return undefined;
  const event = text(raw, "event");
  if (!event) return undefined;
  const seen = isFields(raw["seen"]) ? raw["seen"] : undefined;
  return {
    event, time: text(raw, "time"), id: text(raw, "id"), pid: number(raw, "pid"), port: number(raw, "port"),
    url: text(raw, "url"), with: text(raw, "with"), error: text(raw, "error"), exit_code: number(raw, "exit_code"),
    last_lines: strings(raw, "last_lines"), wait_ms: number(raw, "wait_ms"), model_bytes: number(raw, "model_bytes"),
    seen: seen && {
      elapsed_ns: number(seen, "elapsed_ns"), rss_bytes: number(seen, "rss_bytes"), cpu_ns: number(seen, "cpu_ns"),
      io_bytes: number(seen, "io_bytes"), last_line: text(seen, "last_line"), waiting: text(seen, "waiting"), status: text(seen, "status"),
    },
  };
}

export function logLine(raw: unknown): LogLine | undefined {
  if (!isFields(raw)) return undefined;
  return { time: text(raw, "time"), stream: text(raw, "stream"), text: text(raw, "text") ?? "" };
}

export function sample(raw: unknown): Sample | undefined {
  if (!isFields(raw)) return undefined;
  return {
    time: text(raw, "time"), rss_bytes: number(raw, "rss_bytes"), cpu_ms: number(raw, "cpu_ms"), processes: number(raw, "processes"),
  };
}

export function samples(raw: unknown): Sample[] {
  return Array.isArray(raw) ? raw.flatMap((s) => sample(s) ?? []) : [];
}

// json is the text as JSON, undefined when it is none.
export function json(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
