package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	retryInterval  = time.Second
	healthEndpoint = ":8081"
)

// controller makes the cluster what its ClusterPolicy says, whenever a policy, a node or one of its DaemonSets changes.
type controller struct {
	namespace string
	client    kubernetes.Interface
	policies  dynamic.NamespaceableResourceInterface
}

func runOperator(ctx context.Context) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	dynamicClient, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	c := &controller{namespace: os.Getenv("OPERATOR_NAMESPACE"), client: client, policies: dynamicClient.Resource(clusterPolicies)}
	if c.namespace == "" {
		return errors.New("OPERATOR_NAMESPACE is not set")
	}
	changed, err := c.watch(ctx, dynamicClient)
	if err != nil {
		return err
	}
	go serveHealth()
	for {
		var retry <-chan time.Time
		if err := c.reconcile(ctx); err != nil && ctx.Err() == nil {
			log.Printf("error: %v; trying again", err)
			retry = time.After(retryInterval)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-retry:
		}
	}
}

// watch announces changes; several in a row may become one announcement.
func (c *controller) watch(ctx context.Context, dynamicClient dynamic.Interface) (<-chan struct{}, error) {
	changed := make(chan struct{}, 1)
	announce := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { announce() }, UpdateFunc: func(any, any) { announce() }, DeleteFunc: func(any) { announce() },
	}
	nodes := informers.NewSharedInformerFactory(c.client, 0)
	own := informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithNamespace(c.namespace))
	policies := dynamicinformer.NewDynamicSharedInformerFactory(dynamicClient, 0)
	watched := []cache.SharedIndexInformer{
		nodes.Core().V1().Nodes().Informer(), own.Apps().V1().DaemonSets().Informer(), policies.ForResource(clusterPolicies).Informer(),
	}
	for _, informer := range watched {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
		go informer.Run(ctx.Done())
	}
	for _, informer := range watched {
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return nil, errors.New("stopped before the first list of nodes, DaemonSets and policies was read")
		}
	}
	return changed, nil
}

func serveHealth() {
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
	http.HandleFunc("/healthz", ok)
	http.HandleFunc("/readyz", ok)
	server := &http.Server{Addr: healthEndpoint, ReadHeaderTimeout: 5 * time.Second}
	log.Fatalf("health endpoint: %v", server.ListenAndServe())
}

// reconcile serves the one policy there may be; a second is marked as ignored, as NVIDIA's operator does.
func (c *controller) reconcile(ctx context.Context) error {
	list, err := c.policies.List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) == 0 {
		return err
	}
	oldest := 0
	for i := range list.Items {
		if created := list.Items[i].GetCreationTimestamp(); created.Time.Before(list.Items[oldest].GetCreationTimestamp().Time) {
			oldest = i
		}
	}
	for i := range list.Items {
		if i != oldest {
			if err := c.setState(ctx, &list.Items[i], "ignored"); err != nil {
				return err
			}
		}
	}
	policy := &list.Items[oldest]
	spec, err := specOf(policy)
	if err != nil {
		return err
	}
	if err := c.labelNodes(ctx, spec); err != nil {
		return err
	}
	if err := c.prepareCluster(ctx, spec); err != nil {
		return err
	}
	ready, err := c.applyDaemonSets(ctx, policy, spec)
	if err != nil {
		return err
	}
	if ready {
		return c.setState(ctx, policy, "ready")
	}
	return c.setState(ctx, policy, "notReady")
}

// applyDaemonSets creates, changes and removes; true when every pod of the newest kind is ready.
func (c *controller) applyDaemonSets(ctx context.Context, policy *unstructured.Unstructured, spec policySpec) (bool, error) {
	controls := true
	owner := metav1.OwnerReference{
		APIVersion: policy.GetAPIVersion(), Kind: policy.GetKind(), Name: policy.GetName(), UID: policy.GetUID(), Controller: &controls,
	}
	sets, ready := c.client.AppsV1().DaemonSets(c.namespace), true
	for _, component := range components(spec) {
		seen, err := sets.Get(ctx, component.name, metav1.GetOptions{})
		absent := apierrors.IsNotFound(err)
		if err != nil && !absent {
			return false, err
		}
		wanted := component.daemonSet(c.namespace, spec, owner)
		switch {
		case !component.operand.enabled() && !absent:
			log.Printf("removing %s: disabled", component.name)
			err = sets.Delete(ctx, component.name, metav1.DeleteOptions{})
		case !component.operand.enabled():
			continue
		case absent:
			log.Printf("creating %s", component.name)
			_, err = sets.Create(ctx, wanted, metav1.CreateOptions{})
			ready = false
		case seen.Annotations[hashAnnotation] != wanted.Annotations[hashAnnotation]:
			log.Printf("changing %s", component.name)
			wanted.ResourceVersion = seen.ResourceVersion
			_, err = sets.Update(ctx, wanted, metav1.UpdateOptions{})
			ready = false
		default:
			status := seen.Status
			ready = ready && status.ObservedGeneration == seen.Generation &&
				status.UpdatedNumberScheduled == status.DesiredNumberScheduled && status.NumberReady == status.DesiredNumberScheduled
		}
		if err != nil {
			return false, err
		}
	}
	return ready, nil
}

func (c *controller) setState(ctx context.Context, policy *unstructured.Unstructured, state string) error {
	if seen, _, _ := unstructured.NestedString(policy.Object, "status", "state"); seen == state {
		return nil
	}
	log.Printf("ClusterPolicy %s is %s", policy.GetName(), state)
	body, err := json.Marshal(map[string]any{"status": map[string]string{"state": state, "namespace": c.namespace}})
	if err != nil {
		return err
	}
	_, err = c.policies.Patch(ctx, policy.GetName(), types.MergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}
