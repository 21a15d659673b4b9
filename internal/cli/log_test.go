package cli_test

import (
	"bytes"
	"log"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

// net/http's client, for one, has no other log than the standard one.
func TestWhatLibrariesPrintIsInTheLog(t *testing.T) {
	flags, to := log.Flags(), log.Writer()
	t.Cleanup(func() { log.SetFlags(flags); log.SetOutput(to) })
	for level, want := range map[string]string{"info": "", "debug": "level=DEBUG msg=\"Unsolicited response\"\n"} {
		var text bytes.Buffer
		cli.LogFlags{LogLevel: level, LogFormat: "text"}.Logger(&text)
		log.Print("Unsolicited response")
		if got := text.String(); !strings.HasSuffix(got, want) || (want == "") != (got == "") {
			t.Errorf("at %s the log is %q", level, got)
		}
	}
}
