# Opens every scene of the project as a game would, puts it into the tree, lets a frame pass and prints what Godot
# holds then: one line of JSON for each scene.
extends SceneTree

func _init():
	for name in scenes():
		var packed = load("res://" + name)
		if packed == null:
			printerr("cannot be loaded: ", name)
			continue
		var node = packed.instance()
		get_root().add_child(node)
		yield(self, "idle_frame")
		print("SCENE ", to_json(facts(name, node)))
	quit()

func scenes():
	var found = []
	var folder = Directory.new()
	folder.open("res://")
	folder.list_dir_begin(true, true)
	var name = folder.get_next()
	while name != "":
		if name.ends_with(".tscn"):
			found.append(name)
		name = folder.get_next()
	found.sort()
	return found

func facts(name, node):
	var has_texture = node.texture != null
	return {
		"file": name,
		"class": node.get_class(),
		"name": node.name,
		"polygon": flat(node.polygon),
		"uv": flat(node.uv),
		"polygons": triangles(node.polygons),
		"internal_vertex_count": node.internal_vertex_count,
		"texture": node.texture.resource_path if has_texture else null,
		"size": [node.texture.get_width(), node.texture.get_height()] if has_texture else null,
	}

# As thousandths, because JSON from Godot keeps few digits.
func flat(points):
	var numbers = []
	for point in points:
		numbers.append(int(round(point.x * 1000)))
		numbers.append(int(round(point.y * 1000)))
	return numbers

func triangles(polygons):
	var lists = []
	for polygon in polygons:
		lists.append(Array(polygon))
	return lists
