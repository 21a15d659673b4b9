package engines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/go-resty/resty/v2"
)

// answerLimit is the largest answer that an engine is listened to, in bytes.
const answerLimit = 4 << 20

// client keeps no connection open: some engines don't stop as long as there is one.
func client(baseURL string) *resty.Client {
	return resty.New().SetBaseURL(baseURL).SetResponseBodyLimit(answerLimit).SetCloseConnection(true)
}

// Capabilities asks the running engine at baseURL ("http://127.0.0.1:8080") what it
// can do, as its profile says. Builds differ in what they answer: a path that fails
// is left out, and it is an error only when all of them fail. The map always names
// the engine.
func (p Profile) Capabilities(ctx context.Context, baseURL string) (map[string]any, error) {
	all := map[string]any{}
	var errs []error
	for _, q := range p.Questions {
		answer, err := ask(ctx, baseURL, q)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		maps.Copy(all, answer)
	}
	if len(errs) > 0 && len(errs) == len(p.Questions) {
		return nil, fmt.Errorf("ask %s what it can do: %w", p.Name, errors.Join(errs...))
	}
	all["engine"] = p.Name
	return all, nil
}

// ask asks one question; the answer's keys go into the capabilities.
func ask(ctx context.Context, baseURL string, q Question) (map[string]any, error) {
	resp, err := client(baseURL).R().SetContext(ctx).Get(q.Path)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode() != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d", q.Path, resp.StatusCode())
	}
	var answer any
	if err := json.Unmarshal(resp.Body(), &answer); err != nil {
		return nil, fmt.Errorf("GET %s: %w", q.Path, err)
	}
	if q.IDs != "" {
		answer = ids(answer, q.IDs)
	}
	if q.As != "" {
		return map[string]any{q.As: answer}, nil
	}
	object, ok := answer.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("GET %s: the answer is no JSON object", q.Path)
	}
	return object, nil
}

// ids are those of the objects in a list, as in {"data":[{"id":"a"},{"id":"b"}]}.
func ids(answer any, key string) []string {
	object, _ := answer.(map[string]any)
	list, _ := object[key].([]any)
	found := []string{}
	for _, item := range list {
		if entry, ok := item.(map[string]any); ok {
			if id, ok := entry["id"].(string); ok {
				found = append(found, id)
			}
		}
	}
	return found
}
