package httpd

// Doc is what a document of the API says of a route; internal/openapi writes one. A type
// is given by a value of it, and its fields' tags are read: json, doc, enum, minimum,
// maximum, maxLength.
type Doc struct {
	Summary string            // one line
	Text    string            // Markdown; may be empty
	Asks    any               // a struct: its fields are the parameters, tagged query, header or path with the name
	Takes   []any             // what the JSON of the request's body may be; none: there is no body
	Gives   []Body            // what the body of an answer with status 200 may be
	Headers map[string]string // that the answer may have, and what they say
	Tagged  bool              // the answer has an ETag, and If-None-Match is answered with 304
	Refuses map[int][]string  // the codes of its problems by status, besides those that every route has
	Also    map[int][]Body    // the bodies of answers with other statuses that are no problems
	OpenAI  bool              // its problems have the shape of the OpenAI protocol
	Relays  bool              // it passes on problems of another server, whose codes are not known
}

// Body is one form of an answer.
type Body struct {
	Media string // its Content-Type; application/json when empty
	Types []any  // what it may be; of text/event-stream, what its events may be
}

// JSON is a body of one of these types.
func JSON(types ...any) []Body { return []Body{{Types: types}} }

// Text is a body that is no JSON.
func Text(media string) []Body { return []Body{{Media: media, Types: []any{""}}} }
