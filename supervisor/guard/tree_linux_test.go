package guard_test

import (
	"testing"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// A process that executes one program after the other shows its mark only in between.
// Nobody may take it for a stranger meanwhile.
func TestMarkWhileProgramsAreExecuted(t *testing.T) {
	t.Parallel()
	g := start(t)
	const again = `exec sh -c "$AGAIN"`
	cmd := shell(`echo up; `+again, nil)
	cmd.Env = append(cmd.Env, "AGAIN="+again)
	c, out := spawnCommand(t, g, cmd)
	line(t, out)
	seen, unsure := 0, 0
	for seen < 1000 || unsure < 10 {
		switch marked, sure := guard.Marked(c); {
		case marked:
			seen++
		case !sure:
			unsure++
		default:
			t.Fatalf("it is taken for a stranger, after %d looks that saw the mark and %d that were not sure", seen, unsure)
		}
	}
}
