package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// oneCall is a line that answerCalls reads: a program by its name, with all that a process of its own would have.
type oneCall struct {
	Program     string            `json:"program"`
	Arguments   []string          `json:"arguments"`
	Environment map[string]string `json:"environment"`
}

// oneAnswer is the line that it writes: how that process would have ended, and what it would have said.
type oneAnswer struct {
	Status int    `json:"status"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// answerCalls is `gpu calls`: it answers calls of the programs until its standard input ends. For tests that call
// nvidia-smi thousands of times: to start a process takes ten times as long as to answer.
func answerCalls() int {
	calls, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var call oneCall
		if err := calls.Decode(&call); errors.Is(err, io.EOF) {
			return 0
		} else if err != nil {
			fmt.Fprintf(os.Stderr, "calls: %v\n", err)
			return 1
		}
		answer, err := call.answer()
		if err := errors.Join(err, answers.Encode(answer)); err != nil {
			fmt.Fprintf(os.Stderr, "calls: %v\n", err)
			return 1
		}
	}
}

func (call oneCall) answer() (oneAnswer, error) {
	program, known := programs[call.Program]
	if !known {
		return oneAnswer{}, fmt.Errorf("no program %q", call.Program)
	}
	os.Clearenv()
	for name, value := range call.Environment {
		if err := os.Setenv(name, value); err != nil {
			return oneAnswer{}, err
		}
	}
	stdout, stderr := os.Stdout, os.Stderr
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()
	var said [2]chan string
	for i, stream := range []**os.File{&os.Stdout, &os.Stderr} {
		reader, writer, err := os.Pipe()
		if err != nil {
			return oneAnswer{}, err
		}
		*stream, said[i] = writer, make(chan string, 1)
		go func() {
			content, _ := io.ReadAll(reader)
			reader.Close()
			said[i] <- string(content)
		}()
	}
	status := program(call.Arguments)
	os.Stdout.Close()
	os.Stderr.Close()
	return oneAnswer{status, <-said[0], <-said[1]}, nil
}
