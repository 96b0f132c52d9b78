package pcap

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"time"
)

// A frame is a packet of a link as it was recorded. Its data are valid until the next one.
type frame struct {
	link uint32 // the type of the link, as tcpdump.org/linktypes.html has it
	at   time.Time
	data []byte
}

// frames reads a file of either format.
type frames interface {
	// next reads a frame. io.EOF: the file ends behind one; io.ErrUnexpectedEOF: within one.
	next(*frame) error
}

// magics begin pcap files of both byte orders, with stamps in µs or ns, and pcapng files.
var magics = []string{"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1", magicNg}

const (
	magicNg    = "\x0a\x0d\x0d\x0a"
	maxFrame   = 1 << 18 // bytes of a frame, as tcpdump has it
	pcapHead   = 24
	pcapRecord = 16
)

// Is reports whether a file that begins with head is a pcap or pcapng file.
func Is(head []byte) bool {
	for _, magic := range magics {
		if strings.HasPrefix(string(head[:min(len(head), 4)]), magic) {
			return true
		}
	}
	return false
}

// open reads the head of a file, which may be compressed by gzip.
func open(r io.Reader) (frames, error) {
	in := bufio.NewReaderSize(r, 1<<18)
	head, err := in.Peek(4)
	if len(head) > 1 && head[0] == 0x1f && head[1] == 0x8b {
		unzip, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReaderSize(unzip, 1<<18)
		head, err = in.Peek(4)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	} else if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case string(head) == magicNg:
		return &ngFile{in: in}, nil
	case Is(head):
		return newPcapFile(in)
	}
	return nil, errors.New("neither pcap nor pcapng")
}

// A pcapFile is a file of the older format: a head, then records.
type pcapFile struct {
	in    *bufio.Reader
	order binary.ByteOrder
	link  uint32
	snap  uint32
	unit  time.Duration // of the fraction of a second
	data  []byte
}

func newPcapFile(in *bufio.Reader) (*pcapFile, error) {
	var head [pcapHead]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	f := &pcapFile{in: in, order: binary.LittleEndian, unit: time.Microsecond}
	if head[0] == 0xa1 {
		f.order = binary.BigEndian
	}
	if f.order.Uint32(head[:]) == 0xa1b23c4d {
		f.unit = time.Nanosecond
	}
	f.snap = f.order.Uint32(head[16:])
	f.link = f.order.Uint32(head[20:]) & 0xffff // the upper half says whether frames end with a checksum
	if f.snap == 0 || f.snap > maxFrame {
		f.snap = maxFrame
	}
	return f, nil
}

func (f *pcapFile) next(to *frame) error {
	var head [pcapRecord]byte
	if _, err := io.ReadFull(f.in, head[:]); err != nil {
		return err
	}
	n := f.order.Uint32(head[8:])
	switch {
	case n > f.snap:
		return fmt.Errorf("a packet of %d bytes, where the capture has at most %d: the file is damaged", n, f.snap)
	case n > f.order.Uint32(head[12:]):
		return errors.New("a packet with more bytes than it was long: the file is damaged")
	}
	var err error
	f.data, err = fill(f.in, f.data, n)
	fraction := time.Duration(f.order.Uint32(head[4:])) * f.unit
	*to = frame{link: f.link, at: time.Unix(int64(f.order.Uint32(head[:])), int64(fraction)), data: f.data}
	return err
}

// fill reads n bytes. It uses the buffer if that is large enough.
func fill(in io.Reader, buffer []byte, n uint32) ([]byte, error) {
	if int(n) > cap(buffer) {
		buffer = make([]byte, n)
	}
	_, err := io.ReadFull(in, buffer[:n])
	if err == io.EOF && n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return buffer[:n], err
}

// The blocks of a pcapng file that are read. All others are skipped.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockObsolete  = 2
	blockSimple    = 3
	blockEnhanced  = 6

	maxBlock      = 16 << 20
	maxInterfaces = 4096
)

// An ngFile is a file of blocks: each section has its byte order and its interfaces.
type ngFile struct {
	in         *bufio.Reader
	order      binary.ByteOrder
	interfaces []ngInterface
	block      []byte
	last       time.Time // of the last frame: a simple block has no stamp
}

// An ngInterface is where frames were recorded.
type ngInterface struct {
	link, snap uint32
	perSecond  uint64 // units of its stamps
	offset     int64  // seconds to add to them
}

var errBlock = errors.New("a block with a length that cannot be: the file is damaged")

func (f *ngFile) next(to *frame) error {
	for {
		kind, body, err := f.read()
		if err != nil {
			return err
		}
		switch kind {
		case blockSection:
			f.interfaces = f.interfaces[:0]
		case blockInterface:
			if len(body) < 8 || len(f.interfaces) == maxInterfaces {
				return errBlock
			}
			f.interfaces = append(f.interfaces, f.describe(body))
		case blockEnhanced, blockObsolete, blockSimple:
			ok, err := f.packet(kind, body, to)
			if ok || err != nil {
				return err
			}
		}
	}
}

// read reads a block: its type and what is between the two statements of its length.
func (f *ngFile) read() (kind uint32, body []byte, err error) {
	var head [12]byte
	if _, err := io.ReadFull(f.in, head[:8]); err != nil {
		return 0, nil, err
	}
	if string(head[:4]) == magicNg { // the same in both byte orders, and the order follows
		if _, err := io.ReadFull(f.in, head[8:]); err != nil {
			return 0, nil, io.ErrUnexpectedEOF
		}
		switch {
		case binary.LittleEndian.Uint32(head[8:]) == 0x1a2b3c4d:
			f.order = binary.LittleEndian
		case binary.BigEndian.Uint32(head[8:]) == 0x1a2b3c4d:
			f.order = binary.BigEndian
		default:
			return 0, nil, errors.New("a section without a byte order: the file is damaged")
		}
	}
	kind, n := f.order.Uint32(head[:]), f.order.Uint32(head[4:])
	already := uint32(8)
	if kind == blockSection {
		already = 12
	}
	if n < already+4 || n > maxBlock || n%4 != 0 {
		return 0, nil, errBlock
	}
	if f.block, err = fill(f.in, f.block, n-already); err != nil {
		return 0, nil, err
	}
	if end := f.block[len(f.block)-4:]; f.order.Uint32(end) != n {
		return 0, nil, errBlock
	}
	return kind, f.block[:len(f.block)-4], nil
}

// Options of an interface.
const (
	optionEnd        = 0
	optionResolution = 9
	optionOffset     = 14
)

// describe reads the description of an interface.
func (f *ngFile) describe(body []byte) ngInterface {
	i := ngInterface{link: uint32(f.order.Uint16(body)), snap: f.order.Uint32(body[4:]), perSecond: 1e6}
	for options := body[8:]; len(options) >= 4; {
		code, n := f.order.Uint16(options), int(f.order.Uint16(options[2:]))
		if code == optionEnd || 4+n > len(options) {
			break
		}
		switch value := options[4 : 4+n]; {
		case code == optionResolution && n == 1:
			i.perSecond = units(value[0])
		case code == optionOffset && n == 8:
			i.offset = int64(f.order.Uint64(value))
		}
		options = options[min(4+(n+3)&^3, len(options)):]
	}
	return i
}

// units returns how many units of a resolution a second has: a power of 10, or of 2 if the
// highest bit is set.
func units(resolution byte) uint64 {
	if resolution&0x80 != 0 {
		return 1 << min(resolution&0x7f, 63)
	}
	n := uint64(1)
	for range min(resolution, 19) {
		n *= 10
	}
	return n
}

// packet reads the block of a frame. It returns false for one of an interface that is not described.
func (f *ngFile) packet(kind uint32, body []byte, to *frame) (bool, error) {
	fixed := map[uint32]int{blockEnhanced: 20, blockObsolete: 20, blockSimple: 4}[kind]
	if len(body) < fixed {
		return false, errBlock
	}
	number, length := uint32(0), uint32(0)
	switch kind {
	case blockEnhanced:
		number, length = f.order.Uint32(body), f.order.Uint32(body[12:])
	case blockObsolete:
		number, length = uint32(f.order.Uint16(body)), f.order.Uint32(body[12:])
	}
	if int(number) >= len(f.interfaces) {
		return false, nil
	}
	i := &f.interfaces[number]
	if kind == blockSimple {
		length = f.order.Uint32(body)
		if i.snap > 0 {
			length = min(length, i.snap)
		}
		length = min(length, uint32(len(body)-fixed))
	} else {
		f.last = i.time(uint64(f.order.Uint32(body[4:]))<<32 | uint64(f.order.Uint32(body[8:])))
	}
	if int64(length) > int64(len(body)-fixed) {
		return false, errBlock
	}
	*to = frame{link: i.link, at: f.last, data: body[fixed : fixed+int(length)]}
	return true, nil
}

// time returns the time of a stamp.
func (i *ngInterface) time(stamp uint64) time.Time {
	high, low := bits.Mul64(stamp%i.perSecond, 1e9)
	nanos, _ := bits.Div64(high, low, i.perSecond)
	return time.Unix(int64(stamp/i.perSecond)+i.offset, int64(nanos))
}
