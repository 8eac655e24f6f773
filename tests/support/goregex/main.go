// Command goregex says what Go's regexp makes of patterns: the reference that processor/patterns is compared with.
//
// Reads JSON lines {"pattern": "...", "texts": ["...", ...]}, writes for each {"error": "..." or null, "found": [true, ...]}.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"regexp"
)

type question struct {
	Pattern string   `json:"pattern"`
	Texts   []string `json:"texts"`
}

type answer struct {
	Error *string `json:"error"`
	Found []bool  `json:"found"`
}

func ask(q question) answer {
	found := []bool{}
	re, err := regexp.Compile(q.Pattern)
	if err != nil {
		text := err.Error()
		return answer{&text, found}
	}
	for _, text := range q.Texts {
		found = append(found, re.MatchString(text))
	}
	return answer{nil, found}
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
