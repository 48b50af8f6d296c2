#!/usr/bin/env bash
# Measures on a machine with a GPU and without network or npm.
#
#   bash bench/gpu.sh [GROUP …]      groups: see the end of this file; default: demo olmoe moe profile
#
# Needs $PARTS (default /tmp/gpu-bench) with app.tar.xz of `node bench/pack.mjs` and, unless $HOME_DIR/env.sh (default
# /tmp/gpu) is there, an unpack.sh that unpacks browser and Node.js and writes it: NODE, CHROME_PATH and CHROME_ARGS.
# Writes results.json, results.md and log.txt to $OUT (default bench-results). Each measurement runs alone with a limit
# of its own and none starts after $BUDGET seconds (default 560), so that one that fails or hangs costs no other.
# TINY=1 takes tiny models and short runs, to try the script itself.
set -uo pipefail
started=$SECONDS
PARTS=${PARTS:-/tmp/gpu-bench} HOME_DIR=${HOME_DIR:-/tmp/gpu} OUT=${OUT:-bench-results} BUDGET=${BUDGET:-560} TINY=${TINY:-}
mkdir -p "$HOME_DIR" "$OUT" && OUT=$(cd "$OUT" && pwd)
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
models=$HOME_DIR/models app=$HOME_DIR/app
mkdir -p "$models" "$work/results"

[ -f "$HOME_DIR/env.sh" ] || bash "$PARTS/unpack.sh" || exit 1
# shellcheck disable=SC1091
. "$HOME_DIR/env.sh"
# Chromium dies at the first text where there is no font at all: any one will do.
if [ ! -f /etc/fonts/fonts.conf ] && [ -z "${FONTCONFIG_FILE:-}" ]; then
  mkdir -p "$HOME_DIR/fonts"
  find / -xdev -name '*.ttf' -not -path '/proc/*' 2> /dev/null | head -n 1 | xargs -r -I{} cp {} "$HOME_DIR/fonts/"
  echo "<fontconfig><dir>$HOME_DIR/fonts</dir><cachedir>$HOME_DIR/fonts/cache</cachedir></fontconfig>" > "$HOME_DIR/fonts.conf"
  export FONTCONFIG_FILE=$HOME_DIR/fonts.conf
fi
rm -rf "$app" && python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$PARTS/app.tar.xz" "$HOME_DIR" || exit 1

say() { echo "$@" | tee -a "$OUT/log.txt"; }

# measure NAME SECONDS ARGUMENT…: one bench command; its JSON becomes NAME's result.
measure() {
  local name=$1 limit=$2 left=$((BUDGET - SECONDS + started))
  shift 2
  if [ "$left" -lt 20 ]; then say "skipped  $name: no time left"; return; fi
  [ -z "$TINY" ] || limit=600
  [ "$limit" -le "$left" ] || limit=$left
  local began=$SECONDS json=$work/results/$name.json
  echo "--- $name: $*" >> "$OUT/log.txt"
  timeout -k 10 "$limit" "$NODE" "$app/bench.mjs" "$@" --json > "$json" 2> "$work/stderr"
  local status=$?
  cat "$work/stderr" >> "$OUT/log.txt"
  if [ $status -eq 0 ]; then say "ok       $name ($((SECONDS - began)) s)"
  else say "FAILED   $name: status $status after $((SECONDS - began)) s: $(tail -n 1 "$work/stderr")"; fi
  # After every measurement: whatever happens to the next, this one is kept.
  "$NODE" "$app/bench.mjs" report --dir "$work/results" --out "$OUT" > /dev/null 2>> "$OUT/log.txt"
}

# synth NAME SHAPE TYPE [LAYERS]: the model's path is $models/NAME.gguf.
synth() {
  local path=$models/$1.gguf shape=$2
  [ -z "$TINY" ] || case $shape in olmoe*) shape=tiny-olmoe ;; *) shape=tiny-qwen3moe ;; esac
  [ -f "$path" ] || "$NODE" "$app/bench.mjs" synth --shape "$shape" --type "$3" --out "$path" ${4:+--layers "$4"} 2>&1 | tee -a "$OUT/log.txt"
}

# Lengths: prompts of 512, 2,048 and 4,096 tokens, answers of 128.
if [ -n "$TINY" ]; then short=8 middle=12 long=16 answer=4 runs=1 tokens=8 megabytes=32; else short=512 middle=2048 long=4096 answer=128 runs=5 tokens=512 megabytes=1024; fi

# speed MODEL NAME: decode and prefill of a model, all ways that users run it.
speed() {
  local model=$models/$1.gguf
  measure "$1-short" 150 compare --model "$model" --prompt-tokens $short --gen-tokens $answer --runs $runs
  measure "$1-long" 90 compare --model "$model" --prompt-tokens $long --gen-tokens $answer --runs $runs --peer none
  measure "$1-sampled" 60 compare --model "$model" --prompt-tokens $short --gen-tokens $answer --runs $runs --peer none --temperature 0.8 --top-k 40 --top-p 0.95
  measure "$1-prefill" 150 compare --model "$model" --prompt-tokens $middle --gen-tokens 8 --runs $runs
}

demo() { measure demo 120 compare --prompt-tokens $short --gen-tokens $answer --runs $runs; }
olmoe() {
  synth olmoe-q4_0 olmoe-1b-7b q4_0
  speed olmoe-q4_0
  measure olmoe-q4_0-batch 90 compare --model "$models/olmoe-q4_0.gguf" --prompt-tokens $short --gen-tokens $answer --runs $runs --sessions 8 --peer none
}
# Decoding over the length of the context: what `bench -- plots` draws, together with the profile.
contexts() {
  synth olmoe-q4_0 olmoe-1b-7b q4_0
  local length
  for length in $((short / 4)) $short $((short * 2)) $middle $long; do
    measure "olmoe-q4_0-context-$length" 90 compare --model "$models/olmoe-q4_0.gguf" --prompt-tokens "$length" --gen-tokens $answer --runs $runs --peer webgpu
  done
}
# Prompts alone, by every variant of the kernels.
prefill() {
  synth olmoe-q4_0 olmoe-1b-7b q4_0
  local length
  for length in $short $middle; do
    measure "olmoe-q4_0-prefill-$length-f16" 60 compare --model "$models/olmoe-q4_0.gguf" --prompt-tokens "$length" --gen-tokens 2 --runs $runs --peer none
    measure "olmoe-q4_0-prefill-$length-f32" 60 compare --model "$models/olmoe-q4_0.gguf" --prompt-tokens "$length" --gen-tokens 2 --runs $runs --peer none --precision f32
    measure "olmoe-q4_0-prefill-$length-bare" 60 compare --model "$models/olmoe-q4_0.gguf" --prompt-tokens "$length" --gen-tokens 2 --runs $runs --peer none --bare-kernels
  done
}
olmoe_k() {
  synth olmoe-q4_k olmoe-1b-7b q4_k
  speed olmoe-q4_k
}
bare() {
  synth olmoe-q4_0 olmoe-1b-7b q4_0
  measure olmoe-q4_0-bare 90 compare --model "$models/olmoe-q4_0.gguf" --prompt-tokens $short --gen-tokens $answer --runs $runs --peer none --bare-kernels
}
load() {
  synth olmoe-q4_0 olmoe-1b-7b q4_0
  measure load-opfs 120 load --model "$models/olmoe-q4_0.gguf" --runs 3 --store opfs
  measure load-indexeddb 120 load --model "$models/olmoe-q4_0.gguf" --runs 3 --store indexeddb
}
ondemand() {
  synth olmoe-q4_0 olmoe-1b-7b q4_0
  measure ondemand 240 ondemand --model "$models/olmoe-q4_0.gguf" --prompt-tokens $short --gen-tokens $answer --runs $runs --megabytes $megabytes
}
upload() { measure upload 60 upload --megabytes $megabytes; }
storage() { measure storage 120 storage --megabytes $megabytes --shard-kilobytes 4096; }
moe() {
  synth olmoe-block olmoe-1b-7b q4_0 4
  measure moe-block-chromium 120 moe-block --model "$models/olmoe-block.gguf" --tokens $tokens
  measure moe-block-node 120 moe-block --model "$models/olmoe-block.gguf" --tokens $tokens --host node
}
profile() {
  synth olmoe-q4_0 olmoe-1b-7b q4_0
  measure profile-short 90 profile --model "$models/olmoe-q4_0.gguf" --context $short --chunk $tokens
  measure profile-long 90 profile --model "$models/olmoe-q4_0.gguf" --context $long --chunk $tokens --sampled
  measure profile-node 90 profile --model "$models/olmoe-q4_0.gguf" --context $short --chunk $tokens --host node
  measure profile-sessions 90 profile --model "$models/olmoe-q4_0.gguf" --context $short --chunk $tokens --sessions 8
}
# One token's products alone; no model, so it is cheap.
products() { measure products-node 60 products --layers 16 --host node; }
qwen() {
  synth qwen-q4_k qwen3-30b-a3b q4_k
  measure qwen-q4_k 300 compare --model "$models/qwen-q4_k.gguf" --prompt-tokens $short --gen-tokens $answer --runs $runs --peer webgpu
  rm -f "$models/qwen-q4_k.gguf"
}
gptoss() {
  synth gpt-oss gpt-oss-20b mxfp4
  measure gpt-oss 300 compare --model "$models/gpt-oss.gguf" --prompt-tokens $short --gen-tokens $answer --runs $runs --peer webgpu
  rm -f "$models/gpt-oss.gguf"
}

: > "$OUT/log.txt"
{ date -u +%FT%TZ; nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2> /dev/null; "$CHROME_PATH" --version 2> /dev/null; "$NODE" --version; nproc; } | tee -a "$OUT/log.txt"
for group in "${@:-}"; do
  case ${group:-default} in
    default) demo; olmoe; moe; profile ;;
    demo | olmoe | olmoe_k | contexts | prefill | bare | load | ondemand | upload | storage | moe | profile | products | qwen | gptoss) "$group" ;;
    *) say "no group \"$group\": demo olmoe olmoe_k contexts prefill bare load ondemand upload storage moe profile products qwen gptoss" ;;
  esac
done
cat "$OUT/results.md" 2> /dev/null
