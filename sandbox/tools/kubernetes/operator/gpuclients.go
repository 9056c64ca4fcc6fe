package main

import (
	"context"
	"fmt"
	"log"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pauseClients takes the GPU clients off the node and waits until their pods are gone.
func (m *migManager) pauseClients(ctx context.Context) error {
	if err := m.relabelClients(ctx, "true", paused); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, m.patience)
	defer cancel()
	for label, app := range gpuClients {
		for {
			pods, err := m.client.CoreV1().Pods(m.namespace).List(waiting, m.podsOf(app))
			if err != nil && waiting.Err() == nil {
				return err
			}
			if err == nil && len(pods.Items) == 0 {
				break
			}
			select {
			case <-waiting.Done():
				return fmt.Errorf("GPU clients do not end: %s=%s, but its pods are not gone after %s", label, paused, m.patience)
			case <-time.After(500 * time.Millisecond):
			}
		}
	}
	return nil
}

// resumeClients lets the GPU clients start again, which is how they see a new layout.
func (m *migManager) resumeClients(ctx context.Context) error {
	return m.relabelClients(ctx, paused, "true")
}

// validateAnew lets the operator's validator begin again.
func (m *migManager) validateAnew(ctx context.Context) error {
	return m.client.CoreV1().Pods(m.namespace).DeleteCollection(
		ctx, metav1.DeleteOptions{}, m.podsOf("nvidia-operator-validator"))
}

// relabelClients changes the deploy labels that have one value, and leaves others alone.
func (m *migManager) relabelClients(ctx context.Context, from, to string) error {
	labels, err := m.labels(ctx)
	if err != nil {
		return err
	}
	changed := map[string]string{}
	for label := range gpuClients {
		if labels[label] == from {
			changed[label] = to
		}
	}
	if len(changed) == 0 {
		return nil
	}
	log.Printf("GPU clients: %d labels from %s to %s", len(changed), from, to)
	return m.label(ctx, changed)
}

func (m *migManager) podsOf(app string) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: "app=" + app, FieldSelector: "spec.nodeName=" + m.node}
}
