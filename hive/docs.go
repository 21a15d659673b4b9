package hive

import (
	"net/http"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/logfile"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/internal/operation"
)

// What the document of the API says.

func info() openapi.Info {
	return openapi.Info{
		Title: "rbee-hive",
		Text: "One on each machine: spawns workers there, and stops them. " +
			"Times are RFC 3339 in UTC. Fields that are not known are ignored, both ways.",
	}
}

func spawnDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Spawn a worker",
		Text: "It is answered at once with an operation, which goes on whether or not anybody follows it; " +
			"with `Accept: text/event-stream` by the operation's events. What can't work is refused before anything is started.",
		Takes: []any{client.SpawnRequest{}},
		Gives: []httpd.Body{operation.Events()},
		Also:  map[int][]httpd.Body{http.StatusAccepted: httpd.JSON(client.Operation{})},
		Refuses: map[int][]string{
			http.StatusUnprocessableEntity: {client.CodeNoEngine, client.CodeNoModel},
			http.StatusServiceUnavailable:  {client.CodeBusy},
		},
	}
}

func unknown() map[int][]string {
	return map[int][]string{http.StatusNotFound: {client.CodeUnknownWorker}}
}

func workersDoc() httpd.Doc {
	return httpd.Doc{Summary: "List the workers that this hive is the parent of, by id", Gives: httpd.JSON([]client.WorkerProcess{})}
}

func workerDoc() httpd.Doc {
	return httpd.Doc{Summary: "One of them", Gives: httpd.JSON(client.WorkerProcess{}), Refuses: unknown()}
}

type logQuery struct {
	Follow     bool `query:"follow" doc:"Go on with what comes, until the worker has ended."`
	Tail       int  `query:"tail" minimum:"0" doc:"Begin with so many of the last lines; with the first when it is missing."`
	Timestamps bool `query:"timestamps" doc:"Of text: put time and stream before each line."`
}

type logEvent struct {
	Data logfile.Line `json:"data"`
}

type logEnd struct {
	Event string         `json:"event" enum:"end"`
	Data  map[string]any `json:"data"`
}

func logsDoc() httpd.Doc {
	refuses := unknown()
	refuses[http.StatusUnprocessableEntity] = []string{"invalid_field"}
	return httpd.Doc{
		Summary: "What a worker has printed",
		Text:    "Also of one that has ended, as long as its operation is known. With `Accept: text/event-stream` each line is an event, and to who follows `end` says that the worker has ended.",
		Asks:    logQuery{},
		Gives:   append(httpd.Text("text/plain"), httpd.Body{Media: "text/event-stream", Types: []any{logEvent{}, logEnd{}}}),
		Refuses: refuses,
	}
}

type stopQuery struct {
	Grace string `query:"grace" doc:"Between the stop signal and SIGKILL, like 10s; 0s kills at once. The engine's own when it is missing."`
}

func stopDoc() httpd.Doc {
	refuses := unknown()
	refuses[http.StatusUnprocessableEntity] = []string{"invalid_field"}
	refuses[http.StatusInternalServerError] = []string{client.CodeNotStopped}
	return httpd.Doc{
		Summary: "Stop a worker",
		Text:    "It is answered when nothing of the worker is left, or, after its grace period and a minute and a half at most, that it could not be stopped, and why.",
		Asks:    stopQuery{}, Gives: httpd.JSON(stopped{}), Refuses: refuses,
	}
}

type historyEvent struct {
	Event string          `json:"event" enum:"history"`
	Data  []client.Sample `json:"data"`
}

type sampleEvent struct {
	Data client.Sample `json:"data"`
}

type usageQuery struct {
	Follow bool `query:"follow" doc:"Go on with what comes, as it does without this; false has the answer end with what there is."`
}

func usageDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "What a worker uses",
		Text:    "The stream begins with `history`, the last five minutes; then comes a sample every 5 s, until the worker is gone.",
		Asks:    usageQuery{},
		Gives:   []httpd.Body{{Media: "text/event-stream", Types: []any{historyEvent{}, sampleEvent{}}}}, Refuses: unknown(),
	}
}

func restartDoc() httpd.Doc {
	refuses := unknown()
	refuses[http.StatusConflict] = []string{client.CodeNoKeeper}
	return httpd.Doc{
		Summary: "Restart a worker", Text: "It is answered when that is begun. The worker comes back as a new instance.",
		Gives: httpd.JSON(client.WorkerProcess{}), Refuses: refuses,
	}
}

func healthDoc() httpd.Doc {
	return httpd.Doc{Summary: "Whether the hive lives", Gives: httpd.JSON(health{})}
}

func capabilitiesDoc() httpd.Doc {
	return httpd.Doc{Summary: "What the machine has: cores, memory, devices, engines, models", Gives: httpd.JSON(capabilities{})}
}
