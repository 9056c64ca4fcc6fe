// Package gcsblob registers no driver.
package gcsblob

const Scheme = "gs"
