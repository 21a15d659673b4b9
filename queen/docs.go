package queen

import (
	"net/http"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// What the document of the API says.

func info(models []httpd.Route) openapi.Info {
	return openapi.Info{
		Title: "queen-rbee",
		Text: "Every worker and hive, what each can do and whether it lives: from those who register here, and from the registry. " +
			"Requests to models go to a worker that serves the model. Times are RFC 3339 in UTC. Fields that are not known are ignored, both ways.",
		Also: models,
	}
}

func registerDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Register a worker",
		Text:    "It is `registered` then, and `online` from its first heartbeat on. It is asked for its capabilities.",
		Takes:   []any{client.Registration{}},
		Gives:   httpd.JSON(client.Receipt{}),
		Refuses: map[int][]string{
			http.StatusConflict:           {registry.CodeSuperseded},
			http.StatusServiceUnavailable: {"full"},
		},
	}
}

// strangers are the refusals of what is about a worker that is known.
func strangers() map[int][]string {
	return map[int][]string{
		http.StatusNotFound: {registry.CodeUnknown},
		http.StatusConflict: {registry.CodeSuperseded},
	}
}

func heartbeatDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Say that a worker lives",
		Text:    "Who is not known (404) registers again, and who is superseded (409) waits for the end of the later instance.",
		Takes:   []any{client.Beat{}}, Gives: httpd.JSON(done{}), Refuses: strangers(),
	}
}

type deletion struct {
	ID       string `path:"id" doc:"The worker_id."`
	Instance string `query:"instance_id" doc:"Only if it is this instance."`
}

func deleteDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Say that a worker is gone", Asks: deletion{}, Gives: httpd.JSON(done{}), Refuses: strangers(),
	}
}

func spawnDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Have a hive spawn a worker",
		Text: "The hive is the one that is named, or the one that has the engine, the model on disk and the most free memory; `why` says it. " +
			"Where that one refuses for a reason of its own, the next best is asked. " +
			"It is answered at once with the hive's operation, which goes on whether or not anybody follows it; " +
			"with `Accept: text/event-stream` by the operation's events.",
		Takes: []any{client.Job{}},
		Gives: []httpd.Body{operation.Events()},
		Also:  map[int][]httpd.Body{http.StatusAccepted: httpd.JSON(hive.Operation{})},
		Refuses: map[int][]string{
			http.StatusUnprocessableEntity: {client.CodeUnknownHive, hive.CodeNoEngine, hive.CodeNoModel},
			http.StatusBadGateway:          {client.CodeHiveFailed},
			http.StatusServiceUnavailable:  {client.CodeNoHive, hive.CodeBusy},
		},
	}
}

func stopDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Stop a worker", Text: "Its hive does it, and it is answered when nothing of the worker is left.",
		Gives: httpd.JSON(done{}),
		Refuses: map[int][]string{
			http.StatusNotFound:           {registry.CodeUnknown, hive.CodeUnknownWorker},
			http.StatusConflict:           {client.CodeNoParent, client.CodeAmbiguous},
			http.StatusBadGateway:         {client.CodeHiveFailed},
			http.StatusServiceUnavailable: {client.CodeNoHive},
		},
	}
}

func workersDoc() httpd.Doc {
	return httpd.Doc{Summary: "List the workers, by id", Gives: httpd.JSON([]client.Worker{})}
}

func hivesDoc() httpd.Doc {
	return httpd.Doc{Summary: "List the hives, by id", Gives: httpd.JSON([]client.Hive{})}
}

func healthDoc() httpd.Doc {
	return httpd.Doc{Summary: "Whether the queen lives", Gives: httpd.JSON(health{})}
}

func capabilitiesDoc() httpd.Doc {
	return httpd.Doc{Summary: "What the queen can do", Gives: httpd.JSON(capabilities{})}
}
