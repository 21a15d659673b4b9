// Package stack brings up a registry, a queen and one worker together, has them used,
// and takes them down again in the order in which they can still say farewell.
//
//	err := stack.Run(ctx, stack.Config{Worker: worker}, func(ctx context.Context, up stack.Up) error {
//		return talkTo(ctx, up.Worker.URL)
//	})
//
// The program's main must begin with guard.Main (package supervisor/guard) and know
// rbee's daemons by argv[0], as launch.Own says. One guard keeps all three.
package stack
