// Package rewrite puts other references and datastore names into the values
// of the API.
package rewrite

import (
	"reflect"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

var (
	refType  = reflect.TypeOf(types.ManagedObjectReference{})
	timeType = reflect.TypeOf(time.Time{})
)

// Names are what is called otherwise: references, and datastores in paths.
type Names struct {
	Refs   map[types.ManagedObjectReference]types.ManagedObjectReference
	Stores map[string]string
}

// In rewrites a value in place; what is not known stays as it is.
func (n Names) In(value any) { n.walk(reflect.ValueOf(value)) }

func (n Names) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			n.walk(v.Elem())
		}
	case reflect.Interface:
		n.walkInterface(v)
	case reflect.Struct:
		n.walkStruct(v)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			n.walk(v.Index(i))
		}
	case reflect.String:
		if v.CanSet() {
			if next, changed := n.path(v.String()); changed {
				v.SetString(next)
			}
		}
	default:
	}
}

// walkInterface goes into a value that can't be changed where it is by way of
// a copy.
func (n Names) walkInterface(v reflect.Value) {
	if v.IsNil() {
		return
	}
	inner := v.Elem()
	if inner.Kind() == reflect.Pointer {
		n.walk(inner)
		return
	}
	if !v.CanSet() {
		return
	}
	fresh := reflect.New(inner.Type()).Elem()
	fresh.Set(inner)
	n.walk(fresh)
	v.Set(fresh)
}

func (n Names) walkStruct(v reflect.Value) {
	switch v.Type() {
	case timeType:
		return
	case refType:
		ref, _ := v.Interface().(types.ManagedObjectReference)
		if next, ok := n.Refs[ref]; ok && v.CanSet() {
			v.Set(reflect.ValueOf(next))
		}
		return
	}
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			n.walk(v.Field(i))
		}
	}
}

// path renames the datastore in "[name] folder/file".
func (n Names) path(s string) (string, bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	name, rest, ok := strings.Cut(s[1:], "]")
	if !ok || rest != "" && rest[0] != ' ' {
		return s, false
	}
	next, known := n.Stores[name]
	if !known || next == name {
		return s, false
	}
	return "[" + next + "]" + rest, true
}
