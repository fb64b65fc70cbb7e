# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree and a harness of a few lines, and a `make` that does as much as they need."""

from __future__ import annotations

from pathlib import Path

CONFIG = "KVM KVM_INTEL SMP X86_5LEVEL PREEMPT PREEMPT_RCU"

MAKE = """#!/bin/sh
for target; do :; done
echo "$target" >> make.calls
test -f broken && {{ cat broken; exit 2; }}
case $target in
*defconfig) for name in {config}; do echo "CONFIG_$name=y"; done > .config ;;
prepare0)
    mkdir -p include/generated include/config
    echo "#define CONFIG_SMP 1" > include/generated/autoconf.h
    printf 'deps_config := \\\\\\n\\tKconfig \\\\\\n\\tarch/x86/Kconfig \\\\\\n' > include/config/auto.conf.cmd
    printf 'cmd_kernel/bounds.s := gcc -std=gnu11 -fshort-wchar -mcmodel=kernel -c\\n' > kernel/.bounds.s.cmd
    printf 'deps := \\\\\\n  include/linux/page.h \\\\\\n' >> kernel/.bounds.s.cmd ;;
esac
"""  # noqa: E501

FILES = {
    "Makefile": "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\nEXTRAVERSION =\n",
    "Kconfig": 'source "arch/x86/Kconfig"\n',
    "arch/x86/Kconfig": "config X86_5LEVEL\n\tbool\n",
    "arch/x86/configs/x86_64_defconfig": "",
    "arch/x86/include/asm/page.h": "",
    "arch/x86/include/uapi/asm/kvm.h": "",
    "arch/x86/kvm/x86.h": "#define X86_ANSWER 40\n",
    "arch/x86/kvm/mmu/mmu_internal.h": '#include "../x86.h"\n#define ANSWER (X86_ANSWER + 2)\n',
    "arch/x86/kvm/mmu/mmu.c": (
        '#include "mmu_internal.h"\n'
        "int nobody(int value);\n"
        "extern int nothing;\n"
        "static int inner(void)\n{\n\treturn ANSWER;\n}\n"
        "int answer(void)\n{\n\t/* return inner(); */\n\treturn inner();\n}\n"
        "int reach(int value)\n{\n\treturn nobody(value) + nothing;\n}\n"
    ),
    "arch/x86/kvm/mmu/tdp_mmu.c": "int tdp_only(void) { return 1; }\n",
    "include/linux/compiler-version.h": "",
    "include/linux/kconfig.h": "#include <generated/autoconf.h>\n",
    "include/linux/compiler_types.h": "",
    "include/linux/kvm_host.h": "",
    "include/linux/page.h": "",
    "kernel/bounds.c": "",
    "scripts/config": "#!/bin/sh\n",
    "virt/kvm/kvm_main.c": "",
    "drivers/gpu/Kconfig": "",
    "drivers/gpu/driver.c": "",
}

HARNESS = {
    "units.toml": (
        '[[unit]]\nsource = "kernel/mmu.c"\nkind = "kernel"\ntarget = true\nsymbols = ["answer"]\n'
        '[[unit]]\nsource = "tree:arch/x86/kvm/mmu/tdp_mmu.c"\nkind = "kernel"\n'
        '[[unit]]\nsource = "kernel/only_new.c"\nkind = "kernel"\nversions = ["6.12"]\n'
        '[[unit]]\nsource = "user.c"\nkind = "libc"\n'
    ),
    "shim/prelude.h": "#pragma GCC visibility push(hidden)\n",
    "kernel/mmu.c": (
        '#include "arch/x86/kvm/mmu/mmu.c"\n'
        "#define API __attribute__((visibility(\"default\")))\n"
        "API int call_answer(void) { return answer(); }\n"
        "API int call_reach(void) { return reach(3); }\n"
        "API int kernel_number(void) { return DIFFFUZZ_KERNEL; }\n"
    ),
    "user.c": (
        "#include <stdio.h>\n#include <stdlib.h>\n"
        "void native_unreached(const char *name) { puts(name); exit(7); }\n"
        "void __sanitizer_cov_bool_flag_init(void *a, void *b) { (void)a; (void)b; }\n"
    ),
}  # fmt: skip


def write_files(folder: Path, files: dict[str, str]) -> Path:
    """Write files by name relative to the folder; scripts can be run."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            path.chmod(0o755)
    return folder


def fake_tools(folder: Path, config: str = CONFIG) -> Path:
    """A folder for PATH with the `make`, which turns on the options of `config`."""
    scripts = dict.fromkeys(("flex", "bison", "bc"), "#!/bin/sh\n")
    return write_files(folder, {"make": MAKE.format(config=config), **scripts})


def snapshot(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """All that is in a folder, with modification times."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(folder.rglob("*"))
    }
