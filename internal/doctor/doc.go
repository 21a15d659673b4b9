// Package doctor says what a machine gives to launches, and what is wrong with it.
//
//	facts := doctor.Gather(ctx, doctor.Config{RuntimeDir: dir, Registry: registry})
//	facts.Leftovers = found
//	for _, f := range doctor.Examine(facts) {
//		fmt.Println(f.Status, f.Check, f.Message)
//	}
//
// Gather looks at the machine and judges nothing; what it can't find out is in the
// facts as an error. Examine is a function of the facts alone, made of one small one for
// each check. What only others know (which engines are installed, what earlier launches
// have left) the caller adds to the facts.
//
// It changes nothing but for probes that it takes back at once (an empty file in each
// folder, an empty cgroup), and it makes the folder of port leases, as any launch does.
// It mends nothing; each finding says how to.
package doctor
