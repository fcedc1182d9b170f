package vcenter

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

// translate rewrites, in place, all references and datastore paths in a value:
// into the host's (out) or into ours. What is not known stays as it is.
func (l *link) translate(value any, out bool) {
	if value == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := translation{refs: l.maps.toUs, stores: l.maps.storeUs}
	if out {
		t = translation{refs: l.maps.toHost, stores: l.maps.storeHost}
	}
	t.walk(reflect.ValueOf(value))
}

// ours is a value of the host's with our references and names.
func (l *link) ours(value types.AnyType) types.AnyType {
	if value == nil {
		return nil
	}
	l.translate(&value, false)
	return value
}

type translation struct {
	refs   map[types.ManagedObjectReference]types.ManagedObjectReference
	stores map[string]string
}

func (t translation) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			t.walk(v.Elem())
		}
	case reflect.Interface:
		t.walkInterface(v)
	case reflect.Struct:
		t.walkStruct(v)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			t.walk(v.Index(i))
		}
	case reflect.String:
		if v.CanSet() {
			if next, changed := t.path(v.String()); changed {
				v.SetString(next)
			}
		}
	default:
	}
}

// walkInterface goes into a value that can't be changed where it is by way of
// a copy.
func (t translation) walkInterface(v reflect.Value) {
	if v.IsNil() {
		return
	}
	inner := v.Elem()
	if inner.Kind() == reflect.Pointer {
		t.walk(inner)
		return
	}
	if !v.CanSet() {
		return
	}
	fresh := reflect.New(inner.Type()).Elem()
	fresh.Set(inner)
	t.walk(fresh)
	v.Set(fresh)
}

func (t translation) walkStruct(v reflect.Value) {
	switch v.Type() {
	case timeType:
		return
	case refType:
		ref, _ := v.Interface().(types.ManagedObjectReference)
		if next, ok := t.refs[ref]; ok && v.CanSet() {
			v.Set(reflect.ValueOf(next))
		}
		return
	}
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			t.walk(v.Field(i))
		}
	}
}

// path renames the datastore in "[name] folder/file".
func (t translation) path(s string) (string, bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	name, rest, ok := strings.Cut(s[1:], "]")
	if !ok || rest != "" && rest[0] != ' ' {
		return s, false
	}
	next, known := t.stores[name]
	if !known || next == name {
		return s, false
	}
	return "[" + next + "]" + rest, true
}
