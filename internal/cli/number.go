package cli

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"

	"github.com/alecthomas/kong"
)

// Port is a flag's value that is a port to have; 0 is a flag that was not given.
type Port int

// UnmarshalText is called by kong.
func (p *Port) UnmarshalText(text []byte) error {
	if len(text) == 0 { // a variable that is set to nothing
		*p = 0
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is no port: ports go from 1 to 65535", text)
	}
	*p = Port(n)
	return nil
}

// wholeNumber reads an int in words that people know.
var wholeNumber = kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("number", &text); err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 0)
	if err != nil {
		return fmt.Errorf("%q is no whole number", text)
	}
	target.SetInt(n)
	return nil
})

var (
	flagAlone = regexp.MustCompile(`^-(-[a-z][a-z-]*|[a-zA-Z])$`)
	negative  = regexp.MustCompile(`^-\d`)
)

// tied joins a negative number to the flag before it, since kong would take it for a flag
// of its own: "--port -1" is "--port=-1". No flag of ours begins with a digit.
func tied(args []string) []string {
	var joined []string
	for i, arg := range args {
		last := len(joined) - 1
		switch {
		case arg == "--":
			return append(joined, args[i:]...)
		case i > 0 && negative.MatchString(arg) && flagAlone.MatchString(args[i-1]):
			if args[i-1][1] == '-' {
				arg = "=" + arg
			}
			joined[last] += arg
		default:
			joined = append(joined, arg)
		}
	}
	return joined
}
