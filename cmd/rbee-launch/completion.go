package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

type completionCmd struct {
	Shell string `arg:"" help:"The shell: ${enum}." enum:"bash,zsh,fish"`
}

// The scripts hand the words typed so far to the hidden command "complete".
var completionScripts = map[string]string{
	"bash": `_rbee_launch() {
  local IFS=$'\n'
  COMPREPLY=($(compgen -W "$(rbee-launch complete -- "${COMP_WORDS[@]:1:COMP_CWORD}")" -- "${COMP_WORDS[COMP_CWORD]}"))
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
	for _, candidate := range candidates(call.Parsed.Model.Node, words) {
		if _, err := fmt.Fprintln(call.Stdout, candidate); err != nil {
			return err
		}
	}
	return nil
}

// candidates follows the words through the grammar and lists what fits the last.
func candidates(node *kong.Node, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	var wanted *kong.Flag // the flag whose value the next word is
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
		}
	}
	var all []string
	switch {
	case wanted != nil:
		all = wanted.EnumSlice()
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
		for _, p := range node.Positional {
			all = append(all, p.EnumSlice()...)
		}
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" || !strings.HasPrefix(s, last) })
	slices.Sort(all)
	return all
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
	name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if f.Name == name {
				return f
			}
		}
	}
	return nil
}
