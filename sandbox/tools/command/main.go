// Stands in for pulumi-resource-command: remote.Command only, on the libraries the real provider is built on.
package main

import (
	"context"
	"fmt"
	"os"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"

	"mig-k8s/sandbox/tools/command/remote"
)

// The release whose behaviour was observed; the engine wants a plugin at least as new as the SDK.
const version = "1.2.1"

const standsInFor = "command:remote:Command"

func main() {
	provider, err := infer.NewProviderBuilder().WithResources(infer.Resource(&remote.Command{})).Build()
	if err == nil {
		err = onlyCommands(provider).Run(context.Background(), "command", version)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// onlyCommands refuses, before anything is done, what the real provider has and this one has not.
func onlyCommands(provider p.Provider) p.Provider {
	check, read := provider.Check, provider.Read
	provider.Check = func(ctx context.Context, request p.CheckRequest) (p.CheckResponse, error) {
		if token := string(request.Urn.Type()); token != standsInFor {
			return p.CheckResponse{}, refusal(token)
		}
		return check(ctx, request)
	}
	provider.Read = func(ctx context.Context, request p.ReadRequest) (p.ReadResponse, error) {
		if token := string(request.Urn.Type()); token != standsInFor {
			return p.ReadResponse{}, refusal(token)
		}
		return read(ctx, request)
	}
	provider.Invoke = func(_ context.Context, request p.InvokeRequest) (p.InvokeResponse, error) {
		return p.InvokeResponse{}, refusal(string(request.Token))
	}
	return provider
}

func refusal(token string) error {
	return fmt.Errorf("the sandbox does not stand in for %s", token)
}
