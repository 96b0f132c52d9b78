package settings

import "github.com/hashicorp/hcl/v2"

// Texts reads a list of texts; one text is a list as well. It is ok only if all of
// them are; those that are come back in any case.
func (b *Block) Texts(name string) (all []Text, ok bool) {
	expr := b.expression(name)
	if expr == nil {
		return nil, false
	}
	elements, ok := b.elements(expr)
	b.note(name, "list")
	for _, v := range elements {
		t, good := b.text(v)
		if good {
			b.note(name, t.Value)
			all = append(all, t)
		}
		ok = ok && good
	}
	return all, ok
}

// elements are the values in a list, each with its own range where the list is
// written out; anything else is the only element.
func (b *Block) elements(expr hcl.Expression) (all []value, ok bool) {
	if list, diags := hcl.ExprList(expr); !diags.HasErrors() {
		ok = true
		for _, element := range list {
			v, good := b.value(element)
			if good {
				all = append(all, v)
			}
			ok = ok && good
		}
		return all, ok
	}
	v, ok := b.value(expr)
	if !ok {
		return nil, false
	}
	if t := v.Type(); !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
		return []value{v}, true
	}
	for i, element := range v.AsValueSlice() {
		all = append(all, value{element, v.rng, v.written, i + 1})
	}
	return all, true
}

// Strings reads a list of texts; one text is a list as well.
func (b *Block) Strings(name string, target *[]string) bool {
	texts, ok := b.Texts(name)
	if !ok {
		return false
	}
	*target = []string{}
	for _, t := range texts {
		*target = append(*target, t.Value)
	}
	return true
}

// Pairs reads an object of texts, as [Block.Texts] reads a list.
func (b *Block) Pairs(name string) (all []Pair, ok bool) {
	expr := b.expression(name)
	if expr == nil {
		return nil, false
	}
	keys, values, ok := b.items(expr)
	b.note(name, "object")
	for i := range keys {
		key, good := b.text(keys[i])
		val, fine := b.text(values[i])
		if good && fine {
			b.note(key.Value, val.Value)
			all = append(all, Pair{key, val})
		}
		ok = ok && good && fine
	}
	return all, ok
}

// items are the names in an object and their values, as elements are those of a list.
func (b *Block) items(expr hcl.Expression) (keys, values []value, ok bool) {
	if items, diags := hcl.ExprMap(expr); !diags.HasErrors() {
		ok = true
		for _, item := range items {
			key, good := b.value(item.Key)
			val, fine := b.value(item.Value)
			if good && fine {
				keys, values = append(keys, key), append(values, val)
			}
			ok = ok && good && fine
		}
		return keys, values, ok
	}
	v, ok := b.value(expr)
	if !ok {
		return nil, nil, false
	}
	if t := v.Type(); !t.IsObjectType() && !t.IsMapType() {
		b.ErrorAt(v.rng, "Not an object", "Names with values are expected here: { name = \"value\" }.")
		return nil, nil, false
	}
	for it := v.ElementIterator(); it.Next(); {
		key, val := it.Element()
		keys, values = append(keys, value{key, v.rng, v.written, 0}), append(values, value{val, v.rng, v.written, 0})
	}
	return keys, values, true
}

// Map reads an object of texts.
func (b *Block) Map(name string, target *map[string]string) bool {
	pairs, ok := b.Pairs(name)
	if !ok {
		return false
	}
	*target = map[string]string{}
	for _, p := range pairs {
		(*target)[p.Key.Value] = p.Value.Value
	}
	return true
}
