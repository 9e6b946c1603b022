#!/usr/bin/env bash
# Makes the pictures of README.md and docs/mesh.md again, with the command itself.
#
#   docs/images/make.sh [SPINELIFT]
#
# SPINELIFT is the binary to use, `target/release/spinelift` by default (cargo build --release). Needs Python with
# Pillow, to put drawings side by side. The art and its licences: testdata/corpus/LICENCES.md.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
spinelift=$(realpath "${1:-$root/target/release/spinelift}")
corpus=$root/testdata/corpus
images=$root/docs/images
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# draw NAME SPRITE [PARAMETER=VALUE]...
draw() {
    local name=$1 sprite=$2 arguments=()
    shift 2
    for assignment in "$@"; do arguments+=(--set "$assignment"); done
    "$spinelift" mesh --quiet "$corpus/$sprite" -o "$scratch/$name.mesh.png" "${arguments[@]}"
}

# row CUT SPRITE PARAMETER "VALUE..." [OTHER=VALUE]...: a part of one sprite at several values of one parameter
row() {
    local cut=$1 sprite=$2 parameter=$3 values=$4 panels=()
    shift 4
    for value in $values; do
        draw "$parameter-$value" "$sprite" "$parameter=$value" "$@"
        panels+=("$scratch/$parameter-$value.mesh.png" "$parameter = $value")
    done
    python3 "$images/join.py" "$images/$parameter.png" 270 "$cut" "${panels[@]}"
}

draw outline limbs-octopus-512.png detail_factor=0.05
draw inside limbs-octopus-512.png detail_factor=0.05 internal_vertex_density=1 density_scaling_factor=400
python3 "$images/join.py" "$images/octopus.png" 400 0,0,100 "$scratch/outline.mesh.png" "" "$scratch/inside.mesh.png" ""

row 0,20,62 symmetric-cactus-512.png detail_factor "0.001 0.01 0.05"
row 0,20,62 symmetric-cactus-512.png concave_factor "0 20 100" detail_factor=0.05
row 5,5,60 limb-hand-512.png internal_vertex_density "0 1 4" detail_factor=0.03 density_scaling_factor=400
row 5,5,60 limb-hand-512.png density_scaling_factor "100 400 1200" detail_factor=0.03 internal_vertex_density=1
row 5,5,50 noto-dragon-136.png min_triangle_area "10 30 100" detail_factor=0.03 internal_vertex_density=100
row 0,5,60 tiny-heart-16.png alpha_threshold "10 120 250" detail_factor=0.05 binary_threshold=0
row 0,5,60 tiny-heart-16.png binary_threshold "10 128 240" detail_factor=0.05
row 5,35,60 lineart-spiderweb-512.png blur_kernel_size "1 9 21" detail_factor=0.05 binary_threshold=40
draw largest islands-raincloud-512.png detail_factor=0.05
python3 "$images/join.py" "$images/min_contour_area.png" 270 0,0,100 "$scratch/largest.mesh.png" "min_contour_area = 1 to 1000"

covering="outline=cover min_contour_area=0"
panels=()
for budget in 16 32 64; do
    draw "cover-$budget" limbs-octopus-512.png $covering max_vertices="$budget"
    panels+=("$scratch/cover-$budget.mesh.png" "max_vertices = $budget")
done
python3 "$images/join.py" "$images/cover.png" 270 0,0,100 "${panels[@]}"
row 0,0,100 limbs-octopus-512.png outline "trace cover" detail_factor=0.05 max_vertices=24
row 0,0,100 limb-hand-512.png padding "0 8 24" $covering max_vertices=24
row 0,0,100 limbs-octopus-512.png max_vertices "8 16 32" $covering
row 0,0,100 symmetric-butterfly-512.png effort "fast best" $covering max_vertices=16
row 0,0,100 islands-raincloud-512.png islands "largest all bridge" $covering max_vertices=40
row 0,0,100 hole-ring-512.png holes "fill cut" $covering max_vertices=40
row 0,0,100 limb-hand-512.png min_angle "0 15 25" $covering max_vertices=24
row 0,0,100 limb-hand-512.png min_edge_length "0 16 48" $covering max_vertices=32 min_angle=20
row 0,0,100 limb-hand-512.png max_triangle_area "0 4000 1000" $covering max_vertices=24
row 0,0,100 limb-hand-512.png rim "0 16 32" $covering max_vertices=24 max_triangle_area=3000
row 0,0,100 symmetric-butterfly-512.png symmetry "none x" $covering max_vertices=24
row 0,0,100 limb-hand-512.png preset "sprite deform deform-large"
