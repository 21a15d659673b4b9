package engines

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/go-resty/resty/v2"
)

// ollama loads a model into a running Ollama server, by the API that its own client
// uses.
type ollama struct {
	engine string
	LoadRequest
}

// ollamaError is a refusal in Ollama's own words.
type ollamaError struct {
	Status int    `json:"-"`
	Words  string `json:"error"`
}

func (e *ollamaError) Error() string { return e.Words }

func (o ollama) load(ctx context.Context) (string, error) {
	name := o.Model.Raw
	if o.Model.Kind == GGUF {
		var err error
		if name, err = o.imported(ctx); err != nil {
			return "", o.failed(ctx, "import it", err)
		}
	}
	o.Log.Info("load the model", "engine", o.engine, "model", name)
	// A request without a prompt loads the model, and answers when it has.
	err := o.post(ctx, "/api/generate", map[string]any{"model": name, "keep_alive": -1, "stream": false})
	var refused *ollamaError
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		// A model that makes embeddings alone does not take prompts.
		if o.post(ctx, "/api/embed", map[string]any{"model": name, "keep_alive": -1, "input": []string{}}) == nil {
			return name, nil
		}
	}
	if err != nil {
		return "", o.failed(ctx, "load it", err)
	}
	return name, nil
}

// failed tells a model that won't do from a server that can't be asked.
func (o ollama) failed(ctx context.Context, what string, err error) error {
	var refused *ollamaError
	if ctx.Err() != nil || !errors.As(err, &refused) {
		return fmt.Errorf("have %s %s (model %q): %w", o.engine, what, o.Model.Raw, err)
	}
	hint := ""
	if refused.Status == http.StatusNotFound {
		hint = fmt.Sprintf("get it with \"ollama pull %s\", or give a GGUF file", o.Model.Raw)
	}
	return &ModelError{
		Engine: o.engine, Model: o.Model.Raw, Err: err, Hint: hint,
		Reason: fmt.Sprintf("asked to %s, the server says: %s", what, refused.Words),
	}
}

// imported is the name of the model file in Ollama's library, where it is put the
// first time. The name is made from the content, so that it is the same model for
// every path and launcher.
func (o ollama) imported(ctx context.Context) (string, error) {
	path := o.Model.Path
	sum, err := fileDigest(ctx, path, o.StateDir)
	if err != nil {
		return "", err
	}
	name, digest := "rbee-"+sum[:12], "sha256:"+sum
	if has, err := o.has(ctx, name); has || err != nil {
		return name, err
	}
	o.Log.Info("import the model file", "engine", o.engine, "file", path, "model", name)
	if err := o.upload(ctx, path, digest); err != nil {
		return "", err
	}
	return name, o.post(ctx, "/api/create", map[string]any{
		"model": name, "files": map[string]string{"model.gguf": digest}, "stream": false,
	})
}

// has reports whether the library holds the name.
func (o ollama) has(ctx context.Context, name string) (bool, error) {
	var tags struct {
		Models []struct{ Name string }
	}
	resp, err := client(o.BaseURL).R().SetContext(ctx).SetResult(&tags).SetError(&ollamaError{}).Get("/api/tags")
	if err := answered(resp, err); err != nil {
		return false, fmt.Errorf("list the models: %w", err)
	}
	for _, m := range tags.Models {
		if strings.TrimSuffix(m.Name, ":latest") == name {
			return true, nil
		}
	}
	return false, nil
}

// upload sends the file's content, which the server keeps by its digest. One that it
// has already it does not read again.
func (o ollama) upload(ctx context.Context, path, digest string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	blob := "/api/blobs/" + digest
	if resp, err := client(o.BaseURL).R().SetContext(ctx).Head(blob); err == nil && resp.IsSuccess() {
		return nil
	}
	resp, err := client(o.BaseURL).R().SetContext(ctx).SetError(&ollamaError{}).
		SetHeader("Content-Type", "application/octet-stream").SetBody(f).Post(blob)
	return answered(resp, err)
}

func (o ollama) post(ctx context.Context, path string, body map[string]any) error {
	resp, err := client(o.BaseURL).R().SetContext(ctx).SetError(&ollamaError{}).SetBody(body).Post(path)
	return answered(resp, err)
}

// answered makes an error of an answer that is none of success.
func answered(resp *resty.Response, err error) error {
	if err != nil || resp.IsSuccess() {
		return err
	}
	refused := &ollamaError{Status: resp.StatusCode()}
	if said, ok := resp.Error().(*ollamaError); ok {
		refused.Words = said.Words
	}
	if refused.Words == "" {
		refused.Words = resp.Status()
	}
	return refused
}
