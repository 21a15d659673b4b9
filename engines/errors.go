package engines

import (
	"fmt"
	"strings"
)

// UnknownError names an engine or a worker type that no profile has.
type UnknownError struct {
	What  string // "engine" or "worker type"
	Name  string
	Known []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("there is no %s %q; known are %s", e.What, e.Name, strings.Join(e.Known, ", "))
}

// NotInstalledError says that none of the engines that would do is installed.
type NotInstalledError struct {
	Type   string    // the worker type asked for; may be empty when the engine was named
	Wanted []Profile // the engines that were looked for; one when it was named
}

func (e *NotInstalledError) Error() string {
	var looked, install []string
	for _, p := range e.Wanted {
		looked = append(looked, p.lookedFor()...)
		if p.Install != "" {
			install = append(install, p.Name+": "+p.Install)
		}
	}
	what := "no engine for " + e.Type + " workers is installed"
	if len(e.Wanted) == 1 {
		what = "the engine " + e.Wanted[0].Name + " is not installed"
	}
	text := fmt.Sprintf("%s: looked for %s", what, strings.Join(looked, ", "))
	if len(install) > 0 {
		text += "; to install one: " + strings.Join(install, "; ")
	}
	return text + "; --engine builtin, a simulation, works now"
}

// ModelError refuses a model before, or after, the engine was asked for it.
type ModelError struct {
	Engine string
	Model  string // as the user gave it
	Reason string // what was tried and what came of it
	Hint   string // what to do
	Err    error  // the cause, if there is one
}

func (e *ModelError) Error() string {
	text := fmt.Sprintf("model %q for %s: %s", e.Model, e.Engine, e.Reason)
	if e.Model == "" {
		text = fmt.Sprintf("model for %s: %s", e.Engine, e.Reason)
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

func (e *ModelError) Unwrap() error { return e.Err }
