package queen

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/queen/client"
)

const gb = 1 << 30

// hiveThat is a hive that has llama-server and what it says.
func hiveThat(id, says string) offer {
	o := offer{id: id}
	said := `{"engines":[{"name":"builtin","types":["*"],"explicit":true,"path":"/bin/w"},` +
		`{"name":"llama-server","types":["llm"],"path":"/bin/l"},{"name":"vllm","types":["llm","vllm"]}],` + says + `}`
	if err := json.Unmarshal([]byte(said), &o); err != nil {
		panic(err)
	}
	return o
}

func memory(free float64) string { return fmt.Sprintf(`"memory_available_bytes":%.0f`, free*gb) }

func gpus(all, used float64) string {
	return fmt.Sprintf(`"devices":[{"memory_bytes":%.0f,"memory_used_bytes":%.0f}]`, all*gb, used*gb)
}

func oneGPU(index int, free float64) string {
	return fmt.Sprintf(`{"index":%d,"uuid":"GPU-%d0c0ffee-1","memory_bytes":%.0f}`, index, index, free*gb)
}

func onDevice(o offer, gpus ...string) offer {
	if err := json.Unmarshal([]byte(`{"devices":[`+strings.Join(gpus, ",")+`]}`), &o); err != nil {
		panic(err)
	}
	return o
}

func models(name string, size float64) string {
	return fmt.Sprintf(`"models":[{"name":%q,"path":"/m/%s.gguf","memory_bytes":%.0f}]`, name, name, size*gb)
}

func promised(o offer, memory float64, starting int) offer {
	o.promised, o.starting = uint64(memory*gb), starting
	return o
}

func unsure(o offer) offer { o.unsure = true; return o }

func gone(id, why string) offer { return offer{id: id, gone: why} }

// TestChoose: which of two hives gets a worker, and why; or why none does.
func TestChooseHive(t *testing.T) {
	t.Parallel()
	llm := hive.SpawnRequest{WorkerType: "llm", Model: "tiny"}
	with := func(change func(*hive.SpawnRequest)) hive.SpawnRequest { r := llm; change(&r); return r }
	on := func(device string) hive.SpawnRequest {
		return with(func(r *hive.SpawnRequest) { r.Device = device })
	}
	for name, test := range map[string]struct {
		req    hive.SpawnRequest
		offers []offer
		want   string // the hive's id
		why    string // a part of the reason
	}{
		"the only one": {llm, []offer{hiveThat("a", memory(8))}, "a", "engine llama-server and 8.0 GiB of memory free, and is the only hive"},
		"more memory":  {llm, []offer{hiveThat("a", memory(8)), hiveThat("b", memory(9))}, "b", "9.0 GiB of memory free, the most of 2 hives that could"},
		"a GPU beats memory": {
			llm,
			[]offer{hiveThat("a", memory(800)), hiveThat("b", memory(8)+","+gpus(16, 4))},
			"b", "12.0 GiB of GPU memory free",
		},
		"a GPU that is full": {
			llm,
			[]offer{hiveThat("a", memory(9)), hiveThat("b", memory(8)+","+gpus(16, 17))},
			"a", "9.0 GiB of memory free",
		},
		"on disk beats memory": {
			llm,
			[]offer{hiveThat("a", memory(8)+","+models("tiny", 1)), hiveThat("b", memory(64))},
			"a", "the model on disk and 8.0 GiB of memory free; no other hive has that",
		},
		"on disk by another case": {llm, []offer{hiveThat("a", memory(8)+","+models("Tiny", 1)), hiveThat("b", memory(64))}, "a", "on disk"},
		"on disk by its file": {
			with(func(r *hive.SpawnRequest) { r.Model = "tiny.gguf" }),
			[]offer{hiveThat("a", memory(64)), hiveThat("b", memory(8)+","+models("tiny", 1))},
			"b", "on disk",
		},
		"on disk by its path": {
			with(func(r *hive.SpawnRequest) { r.Model = "/m/tiny.gguf" }),
			[]offer{hiveThat("a", memory(64)), hiveThat("b", memory(8)+","+models("tiny", 1))},
			"b", "on disk",
		},
		"on disk, and broken": {
			llm,
			[]offer{hiveThat("a", memory(8)+`,"models":[{"name":"tiny","path":"/m/tiny.gguf","error":"it is cut"}]`), hiveThat("b", memory(9))},
			"b", "9.0 GiB",
		},
		"no model at all": {with(func(r *hive.SpawnRequest) { r.Model = "" }), []offer{hiveThat("a", memory(8)+`,"models":[{"name":"x","path":""}]`), hiveThat("b", memory(9))}, "b", "9.0 GiB"},
		"promised memory is taken": {
			llm,
			[]offer{promised(hiveThat("a", memory(16)), 10, 1), hiveThat("b", memory(8))},
			"b", "8.0 GiB",
		},
		"promised GPU memory is taken": {
			llm,
			[]offer{promised(hiveThat("a", gpus(24, 0)), 20, 1), hiveThat("b", gpus(8, 0))},
			"b", "8.0 GiB of GPU memory",
		},
		"more promised than there is": {llm, []offer{promised(hiveThat("a", memory(8)), 80, 3)}, "a", "0 MiB of memory free"},
		"fewer starts":                {llm, []offer{promised(hiveThat("a", memory(8)), 0, 2), promised(hiveThat("b", memory(8)), 0, 1)}, "b", "8.0 GiB"},
		"the same":                    {llm, []offer{hiveThat("b", memory(8)), hiveThat("a", memory(8))}, "a", "8.0 GiB"},
		"too little": {
			llm,
			[]offer{hiveThat("a", memory(1)+","+models("tiny", 4))},
			"a", ", though the model may take 4.0 GiB",
		},
		"a named engine": {with(func(r *hive.SpawnRequest) { r.Engine = "llama-server" }), []offer{hiveThat("a", memory(8))}, "a", "engine llama-server"},
		"an explicit engine by its name": {
			with(func(r *hive.SpawnRequest) { r.Engine, r.WorkerType = "builtin", "any" }),
			[]offer{hiveThat("a", memory(8))},
			"a", "engine builtin",
		},
		"an explicit engine by its type alone": {
			with(func(r *hive.SpawnRequest) { r.WorkerType = "any" }),
			[]offer{hiveThat("a", memory(8))},
			"", "no hive can run it: a: it has no engine for any workers",
		},
		"an engine that is not installed": {
			with(func(r *hive.SpawnRequest) { r.Engine = "vllm" }),
			[]offer{hiveThat("a", memory(8))},
			"", "a: it has no engine vllm for llm workers",
		},
		"an engine for other types": {
			with(func(r *hive.SpawnRequest) { r.Engine, r.WorkerType = "llama-server", "comfy" }),
			[]offer{hiveThat("a", memory(8))},
			"", "a: it has no engine llama-server for comfy workers",
		},
		"one is offline": {llm, []offer{gone("a", "it is offline"), hiveThat("b", memory(8))}, "b", "no other hive has that"},
		"all are offline": {
			llm,
			[]offer{gone("a", "it is offline"), gone("b", "it does not say what it has")},
			"", "a: it is offline; b: it does not say what it has",
		},
		"one that is online comes before others": {
			llm,
			[]offer{unsure(hiveThat("a", memory(64)+","+models("tiny", 1))), hiveThat("b", memory(8))},
			"b", "8.0 GiB of memory free",
		},
		"a file is where it is": {
			with(func(r *hive.SpawnRequest) { r.Model = "tiny.gguf" }),
			[]offer{unsure(hiveThat("a", memory(64)+","+models("tiny", 1))), hiveThat("b", memory(8))},
			"a", "; the registry is away, and the hive answers where it was last",
		},
		"nobody": {llm, nil, "", "no hive is online: start rbee-hive on a machine"},
		"a file that none has": {
			with(func(r *hive.SpawnRequest) { r.Model = "Other.GGUF" }),
			[]offer{hiveThat("a", memory(8)), gone("b", "it is offline")},
			"", "a: it has no model Other.GGUF in its folders",
		},
		"a path that none has": {
			with(func(r *hive.SpawnRequest) { r.Model = "/etc/passwd" }),
			[]offer{hiveThat("a", memory(8))},
			"", "a: it has no model /etc/passwd in its folders",
		},
		"a GPU that one has": {
			on("1"),
			[]offer{onDevice(hiveThat("a", memory(64)), oneGPU(0, 80)), onDevice(hiveThat("b", memory(8)), oneGPU(0, 4), oneGPU(1, 8))},
			"b", "8.0 GiB of GPU memory free; no other hive has that",
		},
		"a GPU that none has": {
			on("0,7"),
			[]offer{onDevice(hiveThat("a", memory(64)), oneGPU(0, 80)), hiveThat("b", memory(8))},
			"", "a: it has no GPU 7; b: it has no GPU 0",
		},
		"a GPU by its UUID": {
			on("GPU-10c0ffee-1"),
			[]offer{onDevice(hiveThat("a", memory(64)), oneGPU(0, 80)), onDevice(hiveThat("b", memory(8)), oneGPU(1, 8))},
			"b", "8.0 GiB of GPU memory",
		},
		"a GPU by a UUID that none has": {on("GPU-2"), []offer{onDevice(hiveThat("a", memory(64)), oneGPU(0, 80))}, "", "a: it has no GPU GPU-2"},
		"no GPU wanted": {
			on("cpu"),
			[]offer{onDevice(hiveThat("a", memory(8)), oneGPU(0, 80)), hiveThat("b", memory(9))},
			"b", "9.0 GiB of memory free",
		},
		"no name of a GPU is the hive's to refuse": {on("$"), []offer{hiveThat("a", memory(8))}, "a", "8.0 GiB"},
	} {
		got, err := chooseHive(test.offers, test.req)
		said := got.why
		if err != nil {
			said = err.Error()
		}
		if got.id != test.want || !strings.Contains(said, test.why) || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q: %q, %v", name, got.id, got.why, err)
		}
	}
}

// TestRefusalIsShort: of a thousand hives that can't, the first are named.
func TestRefusalIsShort(t *testing.T) {
	t.Parallel()
	var offers []offer
	for i := range 1000 {
		offers = append(offers, gone(fmt.Sprint("h", i), "it is offline"))
	}
	if _, err := chooseHive(offers, hive.SpawnRequest{}); err == nil || !strings.HasSuffix(err.Error(), "; h9: it is offline; and more") {
		t.Errorf("it says %v", err)
	}
}

// TestPromises: whatever is begun and ended in whatever order, what is promised of a hive
// is the sum of what is under way there.
func TestPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSpawns()
		ids := []string{"a", "b", "c"}
		var under []choice
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(under) > 0 && rapid.Bool().Draw(t, "one ends") {
				i := rapid.IntRange(0, len(under)-1).Draw(t, "which")
				s.settle(under[i])
				under = append(under[:i], under[i+1:]...)
			} else {
				var offers []offer
				for _, id := range ids {
					free, size := rapid.Float64Range(0, 64).Draw(t, "free"), rapid.Float64Range(0, 32).Draw(t, "size")
					offers = append(offers, hiveThat(id, memory(free)+","+models("tiny", size)))
				}
				where, err := s.promise(offers, client.Job{SpawnRequest: hive.SpawnRequest{WorkerType: "llm", Model: "tiny"}})
				if err != nil {
					t.Fatal(err)
				}
				under = append(under, where)
			}
			want := map[string]pending{}
			for _, c := range under {
				p := want[c.id]
				want[c.id] = pending{p.starts + 1, p.memory + c.memory}
			}
			if fmt.Sprint(s.pending) != fmt.Sprint(want) || s.running != len(under) {
				t.Fatalf("promised are %v in %d starts, not %v in %d", s.pending, s.running, want, len(under))
			}
		}
	})
}

// TestPromisesAtOnce: requests at the same instant see each other, so that they are spread.
func TestPromisesAtOnce(t *testing.T) {
	t.Parallel()
	s := newSpawns()
	var asking sync.WaitGroup
	got := make(chan choice, 16)
	for range cap(got) {
		asking.Go(func() {
			offers := []offer{hiveThat("a", memory(64)+","+models("tiny", 4)), hiveThat("b", memory(64)+","+models("tiny", 4))}
			where, err := s.promise(offers, client.Job{SpawnRequest: hive.SpawnRequest{WorkerType: "llm", Model: "tiny"}})
			if err != nil {
				t.Error(err)
				return
			}
			got <- where
		})
	}
	asking.Wait()
	close(got)
	on := map[string]int{}
	for where := range got {
		on[where.id]++
	}
	if on["a"] != 8 || on["b"] != 8 {
		t.Errorf("they are spread as %v", on)
	}
	s.running = maxSpawns
	if _, err := s.promise(nil, client.Job{}); err == nil || !strings.Contains(err.Error(), "which is the limit") {
		t.Errorf("beyond the limit: %v", err)
	}
}
