#!/bin/bash -eu
# SPDX-License-Identifier: GPL-2.0-only
# Builds every harness/fuzz_*.py into $OUT, as ClusterFuzzLite and OSS-Fuzz want it: the target, its
# seed corpus, its options. Their image gives $SRC, $OUT and compile_python_fuzzer.
cd "$SRC/difffuzz"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "difffuzz: CPython 3.11 or newer is needed, python3 is $(python3 -V)" >&2
    exit 3
}
export PYTHONPATH=$PWD

for target in harness/fuzz_*.py; do
    name=$(basename -s .py "$target")
    # The sources come along: the model's branches are marked as it is imported.
    compile_python_fuzzer "$target" --paths "$PWD" --collect-all difffuzz

    # The image's own wrapper preloads a sanitizer with a libFuzzer in it, which would drop the mutator
    # of programs without a message; difffuzz has no native code that a sanitizer could look at.
    cat >"$OUT/$name" <<WRAPPER
#!/bin/sh
# LLVMFuzzerTestOneInput: the word by which a target is known.
here=\$(dirname "\$0")
chmod +x "\$here/$name.pkg"
exec "\$here/$name.pkg" "\$@"
WRAPPER
    chmod +x "$OUT/$name"

    python3 harness/seed_corpus.py "$OUT/${name}_seed_corpus.zip" "$OUT/$name.options"
done
