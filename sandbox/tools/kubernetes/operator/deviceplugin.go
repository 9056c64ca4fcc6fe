package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"

	"mig-k8s/sandbox/tools/kubernetes/operator/gpu"
)

const registrationTimeout = 10 * time.Second

// runDevicePlugin advertises what there is when it starts and whenever the kubelet starts anew. Like NVIDIA's
// plugin it does not look again in between: a changed layout is advertised by a restarted plugin only.
func runDevicePlugin(ctx context.Context) error {
	strategy, err := gpu.ParseStrategy(os.Getenv("MIG_STRATEGY"))
	if err != nil {
		return err
	}
	sharing, err := configuredSharing()
	if err != nil {
		return err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer watcher.Close()
	if err := watcher.Add(api.DevicePluginPath); err != nil {
		return fmt.Errorf("cannot watch the kubelet's folder: %w", err)
	}
	deviceList, known := deviceListStrategies[os.Getenv("DEVICE_LIST_STRATEGY")]
	if !known {
		return fmt.Errorf("DEVICE_LIST_STRATEGY: %q is not stood in for", os.Getenv("DEVICE_LIST_STRATEGY"))
	}
	for ctx.Err() == nil {
		inventory, err := gpu.Seen(ctx)
		if err != nil {
			return err
		}
		resources, err := inventory.Resources(strategy)
		if err != nil {
			return err
		}
		if inventory.Computes() { // a GPU with MIG mode on and no instance is advertised, and cannot be given to anybody
			if err := deviceList.prepare(ctx); err != nil {
				return err
			}
		}
		resources = sharing.Share(resources)
		if len(resources) == 0 {
			log.Printf("strategy %s finds no device to advertise; waiting", strategy)
		}
		stop, err := serveAll(ctx, resources, deviceList)
		if err == nil {
			err = untilKubeletStarts(ctx, watcher)
		}
		stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// configuredSharing is what the configuration of this node says; nil where there is none.
func configuredSharing() (*gpu.Sharing, error) {
	path := os.Getenv("CONFIG_FILE")
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sharing, err := gpu.ParseSharing(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return sharing, nil
}

// untilKubeletStarts returns when kubelet.sock is made again: the kubelet has forgotten its plugins then.
func untilKubeletStarts(ctx context.Context, watcher *fsnotify.Watcher) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-watcher.Events:
			if !open {
				return errors.New("the watch of the kubelet's folder ended")
			}
			if event.Name == filepath.Clean(api.KubeletSocket) && event.Has(fsnotify.Create) {
				log.Print("the kubelet has started again; reading the devices anew")
				return nil
			}
		case err := <-watcher.Errors:
			return fmt.Errorf("watching the kubelet's folder: %w", err)
		}
	}
}

// serveAll registers one plugin per resource. stop ends those that were started, also after an error.
func serveAll(ctx context.Context, resources map[string][]string, deviceList deviceListStrategy) (stop func(), err error) {
	var plugins []*plugin
	stop = func() {
		for _, p := range plugins {
			p.stop()
		}
	}
	for resource, ids := range resources {
		p := &plugin{resource: resource, ids: ids, deviceList: deviceList, stopped: make(chan struct{})}
		plugins = append(plugins, p)
		if err := p.serve(ctx); err != nil {
			return stop, fmt.Errorf("%s: %w", resource, err)
		}
		log.Printf("registered %s: %s", resource, strings.Join(ids, " "))
	}
	return stop, nil
}

// plugin serves the kubelet's device plugin API for one resource.
type plugin struct {
	api.UnimplementedDevicePluginServer
	resource   string
	ids        []string // UUIDs, with ::N behind them where several pods may share a device
	deviceList deviceListStrategy
	server     *grpc.Server
	stopped    chan struct{}
}

// socket is named as NVIDIA's plugin names it: nvidia-gpu.sock, nvidia-mig-1g.10gb.sock.
func (p *plugin) socket() string {
	return filepath.Join(api.DevicePluginPath, "nvidia-"+strings.TrimPrefix(p.resource, "nvidia.com/")+".sock")
}

func (p *plugin) serve(ctx context.Context) error {
	if err := os.Remove(p.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", p.socket())
	if err != nil {
		return err
	}
	p.server = grpc.NewServer()
	api.RegisterDevicePluginServer(p.server, p)
	go func() {
		if err := p.server.Serve(listener); err != nil {
			log.Fatalf("serving %s: %v", p.resource, err)
		}
	}()
	connection, err := grpc.NewClient("unix://"+api.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, registrationTimeout)
	defer cancel()
	_, err = api.NewRegistrationClient(connection).Register(ctx, &api.RegisterRequest{
		Version: api.Version, Endpoint: filepath.Base(p.socket()), ResourceName: p.resource,
		Options: &api.DevicePluginOptions{},
	}, grpc.WaitForReady(true))
	if err != nil {
		return fmt.Errorf("the kubelet does not register it: %w", err)
	}
	return nil
}

func (p *plugin) stop() {
	close(p.stopped)
	if p.server != nil {
		p.server.Stop() // closes the listener, which removes the socket
	}
}

// GetDevicePluginOptions answers that nothing beyond allocation is offered.
func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch sends the devices once and holds the stream until the plugin stops.
func (p *plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	devices := make([]*api.Device, 0, len(p.ids))
	for _, id := range p.ids {
		devices = append(devices, &api.Device{ID: id, Health: api.Healthy})
	}
	if err := stream.Send(&api.ListAndWatchResponse{Devices: devices}); err != nil {
		return err
	}
	select {
	case <-p.stopped:
	case <-stream.Context().Done():
	}
	return nil
}

// Allocate tells the container runtime which devices the container may see.
func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		var uuids []string
		for _, id := range container.DevicesIds {
			if uuid := gpu.UUID(id); !slices.Contains(uuids, uuid) {
				uuids = append(uuids, uuid)
			}
		}
		response.ContainerResponses = append(response.ContainerResponses, p.deviceList.allocate(uuids))
	}
	return response, nil
}
