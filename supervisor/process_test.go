package supervisor

import "testing"

func TestProgramName(t *testing.T) {
	for _, test := range []struct{ comm, exe, title, want string }{
		{"python3", "/usr/bin/python3.12", "python3", "python3"},
		{"VLLM::EngineCor", "/usr/bin/python3.12", "VLLM::EngineCore", "python3.12 (VLLM::EngineCore)"},
		{"nginx", "/usr/sbin/nginx", "nginx: worker process", "nginx: worker process"},
		{"sh", "/usr/bin/dash", "/bin/sh", "dash (sh)"},
		{"server", "/opt/server (deleted)", "./server", "server"},
		{"odd", "/opt/odd", "odd\x1b[31m", "odd[31m"},
		{"passwd", "", "passwd", "passwd"}, // another user's
		{"kworker/0:1", "", "", "kworker/0:1"},
	} {
		if got := programName(test.comm, test.exe, test.title); got != test.want {
			t.Errorf("%q of %q, %q, %q: not %q", got, test.comm, test.exe, test.title, test.want)
		}
	}
}
