package accounts

import "slices"

// A sighting is when an account was first and last seen with something, in seconds.
type sighting[K comparable] struct {
	_msgpack    struct{} `msgpack:",as_array"`
	Key         K
	First, Last int64
}

// sightings are those of one account with things of one kind, such as networks. What was not seen for
// 90 days is new when it is seen again.
type sightings[K comparable] []sighting[K]

// first returns when a key was first seen; at if it was not.
func (s sightings[K]) first(key K, at int64) int64 {
	for i := range s {
		if s[i].Key == key && at-s[i].Last <= memory {
			return s[i].First
		}
	}
	return at
}

// note adds a sighting and reports whether the key is new. A full list loses the key that was seen
// over the shortest time.
func (s *sightings[K]) note(key K, at int64, limit int) (added bool) {
	i := slices.IndexFunc(*s, func(one sighting[K]) bool { return one.Key == key })
	if i < 0 {
		if i = len(*s); i < limit {
			*s = append(*s, sighting[K]{})
		} else {
			i = s.least()
		}
	}
	one := &(*s)[i]
	if one.Key != key || one.Last == 0 || at-one.Last > memory {
		*one = sighting[K]{Key: key, First: at, Last: at}
		return true
	}
	one.First, one.Last = min(one.First, at), max(one.Last, at)
	return false
}

// least returns the sighting to be dropped.
func (s sightings[K]) least() (least int) {
	for i := range s {
		if span, of := s[i].Last-s[i].First, s[least].Last-s[least].First; span < of || span == of && s[i].Last < s[least].Last {
			least = i
		}
	}
	return least
}
