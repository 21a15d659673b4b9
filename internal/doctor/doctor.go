package doctor

// Status is how bad a finding is.
type Status string

// The statuses. A launch works with a warning, perhaps not as well as it could.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Bad  Status = "bad"
)

// Finding is what one check has found.
type Finding struct {
	Check   string `json:"check"`
	Status  Status `json:"status"`
	Message string `json:"message"`
	Fix     string `json:"fix"` // what to do about it; "" when nothing is to be done
}

// Facts are what findings go by.
type Facts struct {
	System    System
	Network   Network
	Clock     Clock
	Limits    Limits
	Folders   Folders
	Engines   Engines
	Leftovers Leftovers
}

// Examine judges the facts, in an order made for reading.
func Examine(f Facts) []Finding {
	findings := []Finding{
		platform(f.System),
		processGroups(),
		subreaper(f.System),
		deathSignal(f.System),
		pidfd(f.System),
		cgroup(f.System.Cgroup),
		firstProcess(f.System.First),
		freePorts(f.Network),
		service(f.Network.Registry),
		service(f.Network.Queen),
		clock(f.Clock),
		openFiles(f.Limits),
		processes(f.Limits),
		runtimeFolder(f.Folders),
		socketPaths(f.System, f.Folders),
		stateFolder(f.Folders),
		leaseFolder(f.Folders),
		engines(f.Engines),
	}
	return append(findings, leftovers(f.Leftovers)...)
}

func ok(check, message string) Finding { return Finding{Check: check, Status: OK, Message: message} }

func warn(check, message, fix string) Finding { return Finding{check, Warn, message, fix} }

func bad(check, message, fix string) Finding { return Finding{check, Bad, message, fix} }
