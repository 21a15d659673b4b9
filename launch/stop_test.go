package launch_test

import (
	"testing"

	"github.com/rbee-launch/rbee-launch/launch"
)

func TestTrouble(t *testing.T) {
	t.Parallel()
	term, kill := []string{"SIGTERM"}, []string{"SIGTERM", "SIGINT", "SIGKILL"}
	child, other := launch.Laggard{PID: 42, Name: "python3 (VLLM::EngineCore)"}, launch.Laggard{PID: 43, Name: "sleep"}
	many := []launch.Laggard{child, other, other, other, other, other, other}
	for _, test := range []struct {
		name string
		stop *launch.StopReport
		want string
	}{
		{"nothing was done", nil, ""},
		{"one signal", &launch.StopReport{Signals: term, TookMS: 9000}, ""},
		{"no grace", &launch.StopReport{Signals: []string{"SIGKILL"}, TookMS: 3}, ""},
		{
			"two signals", &launch.StopReport{Signals: kill[:2], TookMS: 5124},
			"SIGTERM did not end it, SIGINT did, after 5.1 s in all",
		},
		{
			"killed", &launch.StopReport{Signals: kill, TookMS: 10003, Laggards: []launch.Laggard{child}},
			"it did not end within 10 s of SIGTERM and was killed (pid 42 python3 (VLLM::EngineCore) was left)",
		},
		{
			"killed in a hurry", &launch.StopReport{Signals: []string{"SIGTERM", "SIGKILL"}, TookMS: 250, Laggards: []launch.Laggard{child, other}},
			"it did not end within 250 ms of SIGTERM and was killed (pid 42 python3 (VLLM::EngineCore) and pid 43 sleep were left)",
		},
		{"killed unseen", &launch.StopReport{Signals: kill, TookMS: 120_000}, "it did not end within 2m0s of SIGTERM and was killed"},
		{
			"a long list", &launch.StopReport{Signals: kill, TookMS: 1000, Laggards: many},
			"it did not end within 1 s of SIGTERM and was killed (pid 42 python3 (VLLM::EngineCore), pid 43 sleep, pid 43 sleep, pid 43 sleep, pid 43 sleep and 2 more were left)",
		},
		{
			"left behind", &launch.StopReport{Signals: []string{"SIGKILL"}, TookMS: 3, Laggards: []launch.Laggard{other}},
			"it left something behind, which was killed (pid 43 sleep was left)",
		},
		{
			"left behind by a stop", &launch.StopReport{Signals: []string{"SIGTERM", "SIGKILL"}, TookMS: 3, Laggards: []launch.Laggard{other}},
			"it left something behind, which was killed (pid 43 sleep was left)",
		},
	} {
		if got := (launch.Event{PID: 42, Stop: test.stop}).Trouble(); got != test.want {
			t.Errorf("%s:\n%q, not\n%q", test.name, got, test.want)
		}
	}
}
