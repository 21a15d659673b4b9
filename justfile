# What is done to this repository. Bare `just` lists it; each recipe is plain enough to be typed by hand.

export CGO_ENABLED := "0"

_list:
	@just --list --unsorted

# everything that has to pass before a commit
all: lint test build

# format, vet (for macOS, too), staticcheck
lint:
	.ci/lint

# put every file into its form
format:
	go tool gofumpt -w .

# the tests
test *FLAGS:
	go test {{FLAGS}} ./...

# the tests with the race detector, which needs a C compiler
race *FLAGS:
	CGO_ENABLED=1 GORACE=atexit_sleep_ms=0 go test -race {{FLAGS}} ./...

# however a launcher ends, whatever its child is: nothing is left behind
matrix ROUNDS="20":
	RBEE_MATRIX_ROUNDS={{ROUNDS}} go test -count 1 -timeout 60m -run TestMatrix ./cmd/rbee-launch

# whatever is asked of launches and whoever is killed, drawn at random: each is whole, or gone
chaos ROUNDS="20":
	RBEE_CHAOS_ROUNDS={{ROUNDS}} go test -v -count 1 -timeout 60m -run TestChaos ./cmd/rbee-launch

# in whatever order everyone starts, stops, hangs and dies: registry and queen soon show the living
converge SEQUENCES="200":
	RBEE_CONVERGE_SEQUENCES={{SEQUENCES}} go test -v -count 1 -timeout 60m -run TestConvergence ./cmd/rbee-launch

# all programs, into bin/
build:
	go build -o bin/ ./cmd/...

# a registry, a queen and a worker to try out
demo *FLAGS:
	go run ./cmd/rbee-launch up {{FLAGS}}

# each beside the least that could be done, in one run: launches, crashes, stops, heartbeats; and what sidecars take
bench:
	go test -run '^$' -bench 'Launch|Crash|Stop' -benchtime 20x ./launch
	go test -run '^$' -bench 'Ps|Idle' -benchtime 1x ./cmd/rbee-launch
	go test -run '^$' -bench Heartbeat -benchtime 2s ./registry/server | \
		awk '{ print } /Heartbeat\/registry/ { ours = $(NF-1) } /Heartbeat\/bare/ { bare = $(NF-1) } \
			END { printf "heartbeats: %.2f of what a bare handler takes\n", ours / bare }'

# the registry under load, beside a bare handler and etcd: some minutes; FLAGS as of rbee-bench registry
bench-registry *FLAGS:
	go run ./cmd/rbee-bench registry {{FLAGS}}
	go test -run '^$' -bench ComeBack -benchtime 1x ./registry/server

# what CI does, on a Debian machine, as root
ci:
	.ci/run
