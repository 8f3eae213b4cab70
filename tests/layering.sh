#!/usr/bin/env bash
# The rules of the layout that no compiler checks:
#   transform/ pulls no AWS crate; no Rust file is longer than 500 lines.
set -euo pipefail
cd "$(dirname "$0")/.."

tree=$(cargo tree --locked --package transform --edges normal,build --prefix none)
if ! grep -q '^datafusion v' <<<"$tree"; then
    echo "layering: cargo tree shows no datafusion below transform; this check looks at the wrong thing" >&2
    exit 1
fi
if aws=$(grep -E '^(aws-|aws_|lambda_)' <<<"$tree" | sort -u); then
    echo "layering: transform/ must know nothing of AWS, but it pulls:" >&2
    echo "$aws" >&2
    exit 1
fi
echo "transform/ pulls $(sort -u <<<"$tree" | wc -l) crates, none of AWS"

too_long=$(git ls-files --cached --others --exclude-standard '*.rs' | while read -r file; do
    [ -f "$file" ] || continue
    lines=$(wc -l <"$file")
    [ "$lines" -le 500 ] || echo "$file: $lines lines"
done)
if [ -n "$too_long" ]; then
    echo "layering: no Rust file may be longer than 500 lines; split by noun or step:" >&2
    echo "$too_long" >&2
    exit 1
fi
echo "no Rust file is longer than 500 lines"
