// Package remote has the resource command:remote:Command: a command that runs on another machine, over SSH.
package remote

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Command is the resource. Its Go types are those of the real provider: what the library makes of secrets and
// unknown values depends on them.
type Command struct{}

// Inputs of a Command.
type Inputs struct {
	// Changed elements replace because the SDK says so (replace_on_changes); this tag is for the whole property.
	Triggers *[]any `pulumi:"triggers,optional" provider:"replaceOnChanges"`

	Create *string `pulumi:"create,optional"`
	Update *string `pulumi:"update,optional"`
	Delete *string `pulumi:"delete,optional"`
	Stdin  *string `pulumi:"stdin,optional"`

	Logging                *Logging          `pulumi:"logging,optional"`
	Connection             *Connection       `pulumi:"connection" provider:"secret"`
	Environment            map[string]string `pulumi:"environment,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
}

// Annotate has the defaults.
func (i *Inputs) Annotate(a infer.Annotator) {
	a.SetDefault(&i.AddPreviousOutputInEnv, true)
}

// Output is what the last command that ran has written.
type Output struct {
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// State of a Command.
type State struct {
	Inputs
	Output
}

// Create runs `create`, if there is one.
func (*Command) Create(ctx context.Context, request infer.CreateRequest[Inputs]) (infer.CreateResponse[State], error) {
	state := State{Inputs: request.Inputs}
	id, err := resource.NewUniqueHex(request.Name, 8, 0)
	if err == nil && !request.DryRun && state.Inputs.Create != nil {
		err = state.run(ctx, *state.Inputs.Create)
	}
	return infer.CreateResponse[State]{ID: id, Output: state}, err
}

// Update runs `update`, or else `create`, or else nothing: then the old output stays.
func (*Command) Update(
	ctx context.Context, request infer.UpdateRequest[Inputs, State],
) (infer.UpdateResponse[State], error) {
	state := State{Inputs: request.Inputs, Output: request.State.Output}
	script := state.Inputs.Update
	if script == nil {
		script = state.Inputs.Create
	}
	var err error
	if !request.DryRun && script != nil {
		err = state.run(ctx, *script)
	}
	return infer.UpdateResponse[State]{Output: state}, err
}

// Delete runs the `delete` of the state, with its connection. Without one nobody is dialled.
func (*Command) Delete(ctx context.Context, request infer.DeleteRequest[State]) (infer.DeleteResponse, error) {
	if request.State.Inputs.Delete == nil {
		return infer.DeleteResponse{}, nil
	}
	return infer.DeleteResponse{}, request.State.run(ctx, *request.State.Inputs.Delete)
}
