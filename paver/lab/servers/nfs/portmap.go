package main

import (
	"encoding/binary"
	"io"
	"net"
)

// The portmapper's protocol, version 2 (RFC 1833, section 3), as far as a client needs it: NULL, and GETPORT for the
// two programs that are here. Every message is words of 32 bits.
const (
	portmapProgram = 100000
	portmapVersion = 2
	procedureNull  = 0
	procedureGet   = 3

	mountProgram = 100005
	nfsProgram   = 100003
	version3     = 3
	protocolTCP  = 6

	longestCall = 4096
)

const (
	acceptSuccess uint32 = iota
	acceptNoProgram
	acceptWrongVersion
	acceptNoProcedure
	acceptGarbage
)

// portmap answers until the listener fails.
func portmap(listener net.Listener) error {
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			for answerOne(client) == nil {
			}
		}()
	}
}

func answerOne(client io.ReadWriter) error {
	var head uint32
	if err := binary.Read(client, binary.BigEndian, &head); err != nil {
		return err
	}
	length := head &^ (1 << 31)
	if length > longestCall || head == length {
		return io.ErrUnexpectedEOF
	}
	call := make([]byte, length)
	if _, err := io.ReadFull(client, call); err != nil {
		return err
	}
	words, ok := answer(call)
	if !ok {
		return io.ErrUnexpectedEOF
	}
	reply := binary.BigEndian.AppendUint32(nil, 1<<31|uint32(4*len(words)))
	for _, word := range words {
		reply = binary.BigEndian.AppendUint32(reply, word)
	}
	_, err := client.Write(reply)
	return err
}

// answer returns the words of the reply to a call; false where it is none.
func answer(call []byte) ([]uint32, bool) {
	rest := call
	next := func() uint32 {
		if len(rest) < 4 {
			rest = nil
			return 0
		}
		word := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		return word
	}
	skip := func(count uint32) {
		rest = rest[min(int(count+3)&^3, len(rest)):]
	}
	id, kind, rpc, program, version, procedure := next(), next(), next(), next(), next(), next()
	if kind != 0 || rpc != 2 || len(call) < 40 {
		return nil, false
	}
	for range 2 { // credentials and verifier: a flavour, and that many bytes
		next()
		skip(next())
	}
	// xid, REPLY, MSG_ACCEPTED, an empty verifier
	accepted := func(words ...uint32) ([]uint32, bool) {
		return append([]uint32{id, 1, 0, 0, 0}, words...), true
	}
	switch {
	case program != portmapProgram:
		return accepted(acceptNoProgram)
	case version != portmapVersion:
		return accepted(acceptWrongVersion, portmapVersion, portmapVersion)
	case procedure == procedureNull:
		return accepted(acceptSuccess)
	case procedure != procedureGet:
		return accepted(acceptNoProcedure)
	case len(rest) < 16:
		return accepted(acceptGarbage)
	}
	return accepted(acceptSuccess, port(next(), next(), next()))
}

// port returns where a program is; 0 where it is not.
func port(program, version, protocol uint32) uint32 {
	switch {
	case version != version3 || protocol != protocolTCP:
		return 0
	case program == mountProgram:
		return mountPort
	case program == nfsProgram:
		return nfsPort
	}
	return 0
}
