// Command gojson says what Go's encoding/json makes of values: the reference that processor/events is compared with.
//
// Reads JSON lines {"value": "<base64>", "keys": ["severity", ...]}, writes for each
// {"valid": bool, "object": bool, "texts": ["..."], "wrong_types": n, "body": "<base64>"}.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
)

type question struct {
	Value []byte   `json:"value"`
	Keys  []string `json:"keys"`
}

type answer struct {
	Valid      bool     `json:"valid"`
	Object     bool     `json:"object"`
	Texts      []string `json:"texts"`
	WrongTypes int      `json:"wrong_types"`
	Body       []byte   `json:"body"`
}

func ask(q question) answer {
	a := answer{Valid: json.Valid(q.Value), Texts: []string{}}
	if !a.Valid {
		return a
	}
	var members map[string]json.RawMessage
	// null decodes into any type, without an error and without a map.
	if json.Unmarshal(q.Value, &members) != nil || members == nil {
		return a
	}
	a.Object = true
	for _, key := range q.Keys {
		text := ""
		raw, there := members[key]
		switch {
		case !there:
		case raw[0] == '{' || raw[0] == '[':
			a.WrongTypes++
		case raw[0] == '"' || raw[0] == 'n':
			if err := json.Unmarshal(raw, &text); err != nil {
				log.Fatal(err)
			}
		default:
			text = string(raw)
		}
		a.Texts = append(a.Texts, text)
	}
	// The conversion to runes and back puts U+FFFD for each invalid byte.
	a.Body = []byte(string([]rune(string(q.Value))))
	return a
}

func main() {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	buffered := bufio.NewWriter(os.Stdout)
	defer buffered.Flush()
	out := json.NewEncoder(buffered)
	for in.More() {
		var q question
		if err := in.Decode(&q); err != nil {
			log.Fatal(err)
		}
		if err := out.Encode(ask(q)); err != nil {
			log.Fatal(err)
		}
	}
}
