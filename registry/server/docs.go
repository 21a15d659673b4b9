package server

import (
	"net/http"
	"reflect"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/registry"
)

// What the document of the API says. The types below that no handler uses stand for what
// handlers read or write piece by piece.

func info() openapi.Info {
	return openapi.Info{
		Title: "rbee-registry",
		Text: "Who is there, and who still lives. A component registers, beats, and unregisters; who falls silent is offline, and " +
			"later forgotten. Times are RFC 3339 in UTC. Fields that are not known are ignored, both ways.",
		Forms: map[reflect.Type]reflect.Type{
			reflect.TypeFor[registry.Entry]():   reflect.TypeFor[registry.EntryForm](),
			reflect.TypeFor[registry.Receipt](): reflect.TypeFor[registry.ReceiptForm](),
		},
	}
}

type batch struct {
	Components []registry.Form `json:"components"`
}

// batchRegistered is the answer to a batch of registrations.
type batchRegistered struct {
	Revision   uint64             `json:"revision"`
	Registered []registry.Receipt `json:"registered"`
	Refused    []refusal          `json:"refused"`
}

func registerDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Register a component, or many",
		Text: "A component is named by `component_type` and `component_id`, or by `worker_id` or `hive_id`, and needs `hostname` and `port`; " +
			"a queen or GUI without an id is called `queen` or `gui`. What is registered already is brought up to date. " +
			"In a batch, one that is wrong refuses none of the others.",
		Takes: []any{registry.Form{}, batch{}},
		Gives: httpd.JSON(registry.Receipt{}, batchRegistered{}),
		Refuses: map[int][]string{
			http.StatusConflict:           {registry.CodeSuperseded, registry.CodeConflict},
			http.StatusTooManyRequests:    {"too_many_components"},
			http.StatusServiceUnavailable: {"registry_full"},
		},
	}
}

func heartbeatDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Say that a component lives, or that many do",
		Text: "The name and the `instance_id` are enough. Nothing is created: who is not known (404, or in `unknown`) registers " +
			"again, and who is superseded (409, or in `superseded`) waits for the end of the later instance.",
		Takes: []any{registry.Form{}, batch{}},
		Gives: httpd.JSON(registry.Acknowledgement{}, batchBeaten{}),
		Refuses: map[int][]string{
			http.StatusNotFound: {registry.CodeUnknown},
			http.StatusConflict: {registry.CodeSuperseded},
		},
	}
}

func unregisterDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Say that a component is gone",
		Text:    "The name and the `instance_id` are enough.",
		Takes:   []any{registry.Form{}},
		Gives:   httpd.JSON(registry.Acknowledgement{}),
		Refuses: map[int][]string{
			http.StatusNotFound: {registry.CodeUnknown},
			http.StatusConflict: {registry.CodeSuperseded},
		},
	}
}

// chosen are the parameters of readFilter that choose among components of any kind.
type chosen struct {
	WorkerType string            `query:"worker_type"`
	Model      string            `query:"model"`
	Status     registry.Status   `query:"status" enum:"online,offline"`
	Hive       string            `query:"hive" doc:"The id of the hive that a worker belongs to."`
	Metadata   map[string]string `query:"metadata" pattern:"^metadata\\." doc:"metadata.NAME=VALUE: a string as it is; a number, true, false or null as JSON has it."`
}

type chosenOfAll struct {
	Kind registry.Kind `query:"component_type" enum:"hive,worker,queen,gui"`
	chosen
}

type page struct {
	chosen
	Limit int    `query:"limit" minimum:"1" maximum:"100000" doc:"How many at most; the Link header then leads to the rest."`
	After string `query:"after" doc:"An id: those that follow on it."`
}

func invalid() map[int][]string {
	return map[int][]string{http.StatusUnprocessableEntity: {"invalid_field"}}
}

func listDoc(what string) httpd.Doc {
	return httpd.Doc{
		Summary: "List the " + what + ", by id", Asks: page{}, Gives: httpd.JSON([]registry.Entry{}), Tagged: true, Refuses: invalid(),
		Headers: map[string]string{"Link": `The next page, as <URL>; rel="next", when there is one.`},
	}
}

func queenDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "The queen", Gives: httpd.JSON(registry.Entry{}), Tagged: true,
		Refuses: map[int][]string{http.StatusNotFound: {registry.CodeNoQueen}},
	}
}

func componentsDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Everyone, at one revision", Asks: chosenOfAll{}, Gives: httpd.JSON(registry.Snapshot{}), Tagged: true, Refuses: invalid(),
	}
}

func targetsDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Everyone that has metrics, for Prometheus' http_sd_configs", Asks: chosenOfAll{}, Gives: httpd.JSON([]targetGroup{}), Tagged: true, Refuses: invalid(),
	}
}

func pageDoc() httpd.Doc {
	return httpd.Doc{Summary: "A page for people", Gives: httpd.Text("text/html")}
}

func healthDoc() httpd.Doc {
	return httpd.Doc{Summary: "Whether the registry lives", Gives: httpd.JSON(health{})}
}

type watching struct {
	chosenOfAll
	Since string `query:"since" doc:"Poll: what has changed since EPOCH.REVISION, or REVISION of this epoch."`
	Wait  string `query:"wait" doc:"Poll: how long to wait for a change, like 30s, which is the default; 10m at most."`
	Last  string `header:"Last-Event-ID" doc:"Stream: the id of the last event that was read; the stream goes on from there, if it can."`
}

// polled is the answer to a poll.
type polled struct {
	Epoch    string             `json:"epoch"`
	Revision uint64             `json:"revision" doc:"How far this answer goes: what to ask for next."`
	Reset    *registry.Snapshot `json:"reset,omitempty" doc:"Everyone, when no revision was given, or the changes since are not kept any more."`
	Changes  []registry.Change  `json:"changes,omitempty"`
}

type resetEvent struct {
	ID    string            `json:"id" doc:"EPOCH.REVISION, for Last-Event-ID."`
	Event string            `json:"event" enum:"reset"`
	Data  registry.Snapshot `json:"data"`
}

type changeEvent struct {
	ID    string          `json:"id"`
	Event string          `json:"event" enum:"change"`
	Data  registry.Change `json:"data"`
}

type byeEvent struct {
	ID    string   `json:"id"`
	Event string   `json:"event" enum:"bye"`
	Data  farewell `json:"data"`
	Retry int      `json:"retry" doc:"After how many milliseconds to come back."`
}

type farewell struct {
	Reason string `json:"reason" enum:"shutting_down,too_slow"`
	Detail string `json:"detail"`
}

func watchDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "What changes, as a stream or by polling",
		Text: "The stream begins with `reset`, which has everyone, unless it resumes; then comes a `change` for each visible change, " +
			"and `bye` when the watcher is to come back later. A comment comes every 15 s at least. " +
			"With `since` or `wait` there is one answer in JSON, as soon as something has changed, or after the wait.",
		Asks: watching{},
		Gives: []httpd.Body{
			{Media: "text/event-stream", Types: []any{resetEvent{}, changeEvent{}, byeEvent{}}},
			{Types: []any{polled{}}},
		},
		Refuses: map[int][]string{
			http.StatusUnprocessableEntity: {"invalid_field"},
			http.StatusServiceUnavailable:  {"too_many_watchers"},
		},
	}
}
