# SPDX-License-Identifier: GPL-2.0-only
"""Broken sides for the books at the end of a VM: accounting, leak."""

from __future__ import annotations

from .broken import Broken
from .broken_pages import HUGE_PAGES, ONE_PAGE

LIMITED = "config mmu_pages=8 max_level=4K\nslot 0 gfn=0x0 pages=0x40000 area=1\n"
FAR_APART = "".join(f"vcpu0: write gfn={gfn:#x}\n" for gfn in range(0, 0x2000, 0x200))
MANY_TABLES = "slot 0 gfn=0x0 pages=0x80000 area=1\n" + "".join(
    f"vcpu0: write gfn={gfn:#x}\n" for gfn in range(0, 36 * 0x200, 0x200)
)

ACCOUNTING = (
    Broken(
        "split_is_not_counted",
        "tdp",
        "tdp_mmu.py",
        """\
     if not ret:
-        kvm_update_page_stats(kvm, it.level - 1, SPTE_ENT_PER_PAGE)
+        pass
     return ret
""",
        "accounting:tdp:end:pages",
        f"config nx=on\n{HUGE_PAGES}vcpu0: read gfn=0x200\nvcpu0: exec gfn=0x200\n",
        near=f"config nx=on\n{HUGE_PAGES}vcpu0: exec gfn=0x200\nvcpu0: read gfn=0x200\n",
    ),
    Broken(
        "nx_split_is_counted_for_ever",
        "legacy",
        "mmu_internal.py",
        """\
-    kvm.stat.nx_lpage_splits -= 1
     del kvm.possible_nx_huge_pages[sp]
""",
        "accounting:legacy:end:nx_lpage_splits",
        f"config nx=on\n{HUGE_PAGES}vcpu0: exec gfn=0x200\nworker: nx_recover\n",
        near=f"config nx=on\n{HUGE_PAGES}vcpu0: read gfn=0x200\nworker: nx_recover\n",
    ),
    Broken(
        "memslot_stays_counted",
        "tdp",
        "memslot_update.py",
        """\
         assert old is not None
-        kvm.nr_memslot_pages -= old.npages
     elif change == KVM_MR_CREATE:
""",
        "accounting:tdp:end:nr_memslot_pages",
        f"{ONE_PAGE}vmm: memslot_delete slot=0 as=0\n",
        near=f"{ONE_PAGE}vmm: memslot_flags slot=0 as=0 flags=dirty\n",
    ),
    Broken(
        "memslot_that_goes_is_counted_as_logging",
        "legacy",
        "memslot_update.py",
        """\
         kvm_mmu_update_cpu_dirty_logging(kvm, log_dirty_pages)
-        kvm.nr_memslots_dirty_logging += 1 if log_dirty_pages else -1
+        kvm.nr_memslots_dirty_logging += 1 if log_dirty_pages else -(new is not None)
""",
        "accounting:legacy:end:nr_memslots_dirty_logging",
        f"{ONE_PAGE}vmm: memslot_flags slot=0 as=0 flags=dirty\nvmm: memslot_delete slot=0 as=0\n",
        near=f"{ONE_PAGE}vmm: memslot_flags slot=0 as=0 flags=dirty\n"
        "vmm: memslot_flags slot=0 as=0 flags=none\nvmm: memslot_delete slot=0 as=0\n",
    ),
    Broken(
        "page_table_is_not_counted",
        "tdp",
        "tdp_mmu.py",
        """\
         tdp_mmu_set_spte(kvm, it, spte)
-    kvm.tdp_mmu_pages += 1
     return 0
""",
        "accounting:tdp:end:tdp_mmu_pages",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\n",
        near=ONE_PAGE,
    ),
    Broken(
        "zapped_page_is_still_counted",
        "legacy",
        "mmu_page.py",
        """\
         invalid_list.append(sp)
-        kvm.n_used_mmu_pages -= 1
     else:
""",
        "accounting:legacy:end:n_used_mmu_pages",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\nvmm: memslot_delete slot=0\n",
        near=f"{ONE_PAGE}vmm: memslot_delete slot=0\n",
    ),
    Broken(
        "limit_is_not_kept",
        "legacy",
        "mmu.py",
        """\
-        r = make_mmu_pages_available(vcpu)
+        r = 0
         if not r:
""",
        "accounting:legacy:end:n_max_mmu_pages",
        LIMITED + FAR_APART,
        near=f"{LIMITED}vcpu0: write gfn=0x0\nvcpu0: write gfn=0x200\n",
    ),
    Broken(
        "youngest_pages_go_first",
        "legacy",
        "mmu_page.py",
        """\
-        for sp in list(kvm.active_mmu_pages):
+        for sp in reversed(list(kvm.active_mmu_pages)):
             # A root in use would come back at once.
""",
        "accounting:legacy:write:reclaim-order",
        # Some 20 pages go at a time: with 40 some stay.
        f"config mmu_pages=40\n{MANY_TABLES}",
        near=f"config mmu_pages=64\n{MANY_TABLES}",
    ),
)

LEAK = (
    Broken(
        "cut_off_tables_are_not_freed",
        "tdp",
        "tdp_mmu.py",
        """\
         if not shared or kvm.mem.freeze_absent(pt, REMOVED_SPTE, done):
             break
-    tdp_mmu_free_sp_rcu(kvm, sp)
""",
        "leak:tdp:end:page-tables",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\n",
        near=ONE_PAGE,
    ),
    Broken(
        "faults_keep_their_page",
        "legacy",
        "kvm_main.py",
        """\
         kvm_set_pfn_accessed(kvm, pfn)
-        kvm.mm.put_page(pfn)
""",
        "leak:legacy:end:frames",
        f"{ONE_PAGE}vcpu0: write gfn=0x3\n",
        near=f"{ONE_PAGE}vcpu0: write gfn=0x400\n",
    ),
    Broken(
        "lost_pages_of_prefetch",
        "legacy",
        "mmu.py",
        """\
         mmu_set_spte(vcpu, slot, sptep + 8 * i, access, gfn + i, pfn, None)
-        kvm.mm.put_page(pfn)
""",
        "leak:legacy:end:frames",
        f"{ONE_PAGE}host0: host_write area=1 page=0x0\nvcpu0: write gfn=0x3\n",
        near=f"{ONE_PAGE}host0: host_write area=1 page=0x8\nvcpu0: write gfn=0x3\n",
    ),
    Broken(
        "cached_roots_stay_obsolete",
        "tdp",
        "mmu_roots.py",
        """\
         if is_obsolete_root(kvm, mmu.prev_roots[i].hpa):
-            roots_to_free |= 2 << i
+            pass
""",
        "leak:tdp:end:obsolete-root",
        f"{ONE_PAGE}vcpu0: read gfn=0x3\nvcpu0: guest_mode on\nvcpu0: read gfn=0x3\n"
        "vmm: nx on\nvcpu0: read gfn=0x3\n",
        near=f"{ONE_PAGE}vcpu0: read gfn=0x3\nvmm: nx on\nvcpu0: read gfn=0x3\n",
    ),
)
