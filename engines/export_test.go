package engines

// FileDigest is tested by itself: through Load it would need an engine.
var FileDigest = fileDigest
