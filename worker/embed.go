package worker

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// Dimensions of an embedding.
const (
	defaultDimensions = 256
	maxDimensions     = 4096
	maxInputs         = 256 // texts in one request
)

// embeddingList is the answer to all texts of a request.
type embeddingList struct {
	Object     string      `json:"object" enum:"list"`
	Data       []embedding `json:"data"`
	Model      string      `json:"model"`
	Usage      usage       `json:"usage"`
	Simulation bool        `json:"simulation"`
}

type embedding struct {
	Object    string `json:"object" enum:"embedding"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding" doc:"Numbers, or their base64: little-endian, 4 bytes each."`
}

func (w *Worker) embed(rw http.ResponseWriter, r *http.Request) error {
	var req embeddingRequest
	if err := httpd.ReadJSON(rw, r, &req, httpd.MaxPrompt); err != nil {
		return err
	}
	if err := w.serves(req.Model); err != nil {
		return err
	}
	dims, err := req.check()
	if err != nil {
		return err
	}
	var used usage
	data := make([]embedding, len(req.Input))
	for i, text := range req.Input {
		words := strings.Fields(text)
		used.PromptTokens += len(words)
		data[i] = embedding{Object: "embedding", Index: i, Embedding: vector(words, dims)}
		if req.EncodingFormat == "base64" {
			data[i].Embedding = encode(vector(words, dims))
		}
	}
	used.TotalTokens = used.PromptTokens
	w.metrics.tokens.WithLabelValues("prompt").Add(float64(used.PromptTokens))
	return httpd.WriteJSON(rw, http.StatusOK, embeddingList{
		Object: "list", Data: data, Model: w.cfg.Model, Usage: used, Simulation: true,
	})
}

func (e embeddingRequest) check() (dims int, err error) {
	switch {
	case len(e.Input) == 0:
		return 0, httpd.InvalidField("input", "is empty, a string or a list of strings is wanted")
	case len(e.Input) > maxInputs:
		return 0, httpd.InvalidField("input", "has %d texts, at most %d are taken", len(e.Input), maxInputs)
	case e.EncodingFormat != "" && e.EncodingFormat != "float" && e.EncodingFormat != "base64":
		return 0, httpd.InvalidField("encoding_format", "is %q, wanted is float or base64", e.EncodingFormat)
	case e.Dimensions == nil:
		return defaultDimensions, nil
	case *e.Dimensions < 1 || *e.Dimensions > maxDimensions:
		return 0, httpd.InvalidField("dimensions", "is %d, wanted is 1-%d", *e.Dimensions, maxDimensions)
	}
	return *e.Dimensions, nil
}

// vector is a unit vector that depends on the words alone: the sum of a
// direction per word, so that texts which share words point the same way.
func vector(words []string, dims int) []float32 {
	sum := make([]float64, dims)
	if len(words) == 0 {
		words = []string{""} // a direction of its own, rather than none
	}
	for _, word := range words {
		h := fnv.New64a()
		_, _ = h.Write([]byte(strings.ToLower(word))) // a hash never fails
		direction := rand.New(rand.NewPCG(h.Sum64(), 0))
		for i := range sum {
			sum[i] += direction.NormFloat64()
		}
	}
	var square float64
	for _, x := range sum {
		square += x * x
	}
	unit := make([]float32, dims)
	for i, x := range sum {
		unit[i] = float32(x / math.Sqrt(square))
	}
	return unit
}

// encode is base64 of little-endian floats, which the official clients ask for.
func encode(v []float32) string {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(raw)
}
