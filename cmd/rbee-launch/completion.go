package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
)

type completionCmd struct {
	Shell string `arg:"" help:"The shell: ${enum}." enum:"bash,zsh,fish"`
}

// The scripts hand the words typed so far to the hidden command "complete".
var completionScripts = map[string]string{
	"bash": `_rbee_launch() {
  # The words as they were typed: bash cuts them at @, = and : besides, and wants only
  # what comes after the cut.
  local line=${COMP_LINE:0:COMP_POINT} words word cut found
  read -ra words <<<"$line"
  case $line in *[[:space:]]) words+=('') ;; esac
  word=${words[${#words[@]}-1]}
  cut=${word%"${word##*[$COMP_WORDBREAKS]}"}
  COMPREPLY=()
  while IFS= read -r found; do
    COMPREPLY+=("$(printf %q "${found#"$cut"}")")
  done < <(rbee-launch complete -- "${words[@]:1}")
}
complete -o default -F _rbee_launch rbee-launch
# to keep it: rbee-launch completion bash > ~/.local/share/bash-completion/completions/rbee-launch
`,
	"zsh": `#compdef rbee-launch
_rbee_launch() {
  local -a found
  found=("${(@f)$(rbee-launch complete -- "${(@)words[2,$CURRENT]}")}")
  compadd -a found || _files
}
compdef _rbee_launch rbee-launch
# to keep it: rbee-launch completion zsh > a file _rbee-launch in a folder of $fpath
`,
	"fish": `complete -c rbee-launch -a '(rbee-launch complete -- (commandline -opc)[2..] (commandline -ct))'
# to keep it: rbee-launch completion fish > ~/.config/fish/completions/rbee-launch.fish
`,
}

// Run prints the script.
func (c *completionCmd) Run(call *cli.Call) error {
	_, err := fmt.Fprint(call.Stdout, completionScripts[c.Shell])
	return err
}

type completeCmd struct {
	Words []string `arg:"" optional:""`
}

// Run prints what the last word may become, one candidate a line.
func (c *completeCmd) Run(call *cli.Call) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, candidate := range candidates(call.Parsed.Model.Node, words, idsOf) {
		if _, err := fmt.Fprintln(call.Stdout, candidate); err != nil {
			return err
		}
	}
	return nil
}

// idsOf lists what an argument or a flag's value with the tag complete:"KIND" may become.
// What can't be found out completes nothing.
func idsOf(kind string) []string {
	var ids []string
	switch kind {
	case "launched":
		ids, _ = launchedIDs()
	case "logged":
		ids, _ = loggedIDs()
	case "engine":
		if catalog, err := engines.Load(os.Getenv("RBEE_ENGINE_FILE")); err == nil {
			for _, e := range catalog.List(launch.FindEngine) {
				ids = append(ids, e.Name)
			}
		}
	}
	return ids
}

// candidates follows the words through the grammar and lists what fits the last.
func candidates(node *kong.Node, words []string, idsOf func(kind string) []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	var wanted *kong.Flag // the flag whose value the next word is
	var args []string     // words that are arguments of the command
	for _, w := range words[:len(words)-1] {
		if w == "--" {
			return nil // the child's own words
		}
		if wanted != nil {
			wanted = nil
			continue
		}
		if child := childOf(node, w); child != nil {
			node = child
			continue
		}
		if f := flagOf(node, w); f != nil && !f.IsBool() && !strings.Contains(w, "=") {
			wanted = f
		} else if !strings.HasPrefix(w, "-") {
			args = append(args, w)
		}
	}
	var all []string
	switch {
	case wanted != nil:
		all = append(wanted.EnumSlice(), idsOf(wanted.Tag.Get("complete"))...)
	case strings.HasPrefix(last, "-"):
		for _, group := range node.AllFlags(true) {
			for _, f := range group {
				all = append(all, "--"+f.Name)
			}
		}
	default:
		for _, child := range node.Children {
			if !child.Hidden {
				all = append(all, child.Name)
			}
		}
		if p := positional(node, len(args)); p != nil {
			all = append(all, p.EnumSlice()...)
			all = append(all, idsOf(p.Tag.Get("complete"))...)
			all = slices.DeleteFunc(all, func(s string) bool { return slices.Contains(args, s) })
		}
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" || !strings.HasPrefix(s, last) })
	slices.Sort(all)
	return all
}

// positional is the nth argument of a command, counted from 0; the last one may be many.
func positional(node *kong.Node, n int) *kong.Positional {
	last := len(node.Positional) - 1
	if n > last && (last < 0 || !node.Positional[last].IsCumulative()) {
		return nil
	}
	return node.Positional[min(n, last)]
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

func flagOf(node *kong.Node, word string) *kong.Flag {
	long, isLong := strings.CutPrefix(word, "--")
	long, _, _ = strings.Cut(long, "=")
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if (isLong && f.Name == long) || (f.Short != 0 && word == "-"+string(f.Short)) {
				return f
			}
		}
	}
	return nil
}
