# SPDX-License-Identifier: GPL-2.0-only
"""What user space does to a VM between guest accesses: vCPU events, ioctls, module parameters."""

from __future__ import annotations

from collections.abc import Callable

from difffuzz.program import Kind
from difffuzz.program.limits import MAX_VCPUS, area_base
from difffuzz.program.model import SlotSpec
from difffuzz.program.ops import GUEST_KINDS
from difffuzz.sides.base import DONE, NOTHING, Outcome
from difffuzz.sides.kvm_package import AnyPackage
from difffuzz.sides.kvm_state import Kvm, MemorySlot, Vcpu


class UserSpace:
    """The process that owns the VM.  Arguments are those of the operations of a program."""

    __slots__ = ("_kvm", "_package")

    def __init__(self, package: AnyPackage, kvm: Kvm) -> None:
        self._package = package
        self._kvm = kvm

    # vCPU events

    def smm(self, vcpu: Vcpu, args: tuple[int, ...]) -> Outcome:
        """The vCPU enters or leaves SMM."""
        self._package.x86.kvm_smm_changed(vcpu, bool(args[0]))
        return Outcome()

    def guest_mode(self, vcpu: Vcpu, args: tuple[int, ...]) -> Outcome:
        """The vCPU enters or leaves an L2."""
        self._package.x86.nested_guest_mode(vcpu, bool(args[0]))
        return Outcome()

    def reload(self, vcpu: Vcpu, args: tuple[int, ...]) -> Outcome:
        """The vCPU loads its MMU anew."""
        self._package.mmu_roots.kvm_mmu_reset_context(vcpu)
        return Outcome()

    # Memslots

    def create_slot(self, slot: SlotSpec) -> int:
        """A memslot; 0 or -errno."""
        hva = area_base(slot.area) + (slot.page << 12)
        return self._set_slot(slot.as_id, slot.slot, slot.gfn, slot.npages, hva, slot.flags)

    def _set_slot(self, as_id: int, slot: int, gfn: int, npages: int, hva: int, flags: int) -> int:
        return self._package.memslot_update.kvm_set_memory_region(
            self._kvm, as_id, slot, gfn, npages, hva, flags
        )

    def _slot(self, as_id: int, slot: int) -> MemorySlot | None:
        return self._kvm.memslots[as_id].id_hash.get(slot)

    def memslot_create(self, args: tuple[int, ...]) -> Outcome:
        """A memslot comes, or takes the place of one."""
        return Outcome(DONE, self.create_slot(SlotSpec(*args)))

    def memslot_delete(self, args: tuple[int, ...]) -> Outcome:
        """A memslot goes."""
        slot, as_id = args
        return Outcome(DONE, self._set_slot(as_id, slot, 0, 0, 0, 0))

    def memslot_move(self, args: tuple[int, ...]) -> Outcome:
        """A memslot goes to another gfn."""
        slot, as_id, gfn = args
        old = self._slot(as_id, slot)
        if old is None:
            return Outcome()
        r = self._set_slot(as_id, slot, gfn, old.npages, old.userspace_addr, old.flags)
        return Outcome(DONE, r)

    def memslot_flags(self, args: tuple[int, ...]) -> Outcome:
        """A memslot gets other flags."""
        slot, as_id, flags = args
        old = self._slot(as_id, slot)
        if old is None:
            return Outcome()
        r = self._set_slot(as_id, slot, old.base_gfn, old.npages, old.userspace_addr, flags)
        return Outcome(DONE, r)

    # The rest

    def dirty_get(self, args: tuple[int, ...]) -> Outcome:
        """The dirty log of a memslot."""
        slot, as_id = args
        get = self._package.dirty_log.kvm_vm_ioctl_get_dirty_log
        r, bitmap = get(self._kvm, as_id, slot)
        outcome = Outcome(DONE, r)
        outcome.bitmap = bitmap
        return outcome

    def dirty_clear(self, args: tuple[int, ...]) -> Outcome:
        """Pages of a memslot are clean from now on."""
        slot, as_id, first, n = args
        clear = self._package.dirty_log.kvm_vm_ioctl_clear_dirty_log
        return Outcome(DONE, clear(self._kvm, as_id, slot, first, n))

    def mmu_pages(self, args: tuple[int, ...]) -> Outcome:
        """The limit of the legacy MMU's pages."""
        return Outcome(DONE, self._package.vm.kvm_vm_ioctl_set_nr_mmu_pages(self._kvm, args[0]))

    def track_add(self, args: tuple[int, ...]) -> Outcome:
        """Writes to a page are tracked."""
        return self._track(args, True)

    def track_remove(self, args: tuple[int, ...]) -> Outcome:
        """Writes to a page are no longer tracked."""
        return self._track(args, False)

    def _track(self, args: tuple[int, ...], add: bool) -> Outcome:
        as_id, gfn = args
        return Outcome(DONE, int(self._package.vm.page_track(self._kvm, as_id, gfn, add)))

    def nx(self, args: tuple[int, ...]) -> Outcome:
        """The module parameter nx_huge_pages."""
        self._package.vm.param_attr_store_nx(self._kvm, bool(args[0]))
        return Outcome()

    def nx_recover(self, args: tuple[int, ...]) -> Outcome:
        """The worker that recovers huge pages has its turn."""
        self._package.mmu_zap.kvm_recover_nx_huge_pages(self._kvm)
        return Outcome()

    def zap_gfn_range(self, args: tuple[int, ...]) -> Outcome:
        """Mappings of a range go, as when MTRRs change."""
        gfn, n = args
        self._package.vm.zap_gfn_range(self._kvm, gfn, gfn + n)
        return Outcome()

    def vcpu_create(self, args: tuple[int, ...]) -> Outcome:
        """One more vCPU."""
        if len(self._kvm.vcpus) >= MAX_VCPUS:
            return Outcome(NOTHING)
        self._package.vm.kvm_create_vcpu(self._kvm)
        return Outcome()

    def sync(self, args: tuple[int, ...]) -> Outcome:
        """Where all threads meet: nothing happens."""
        return Outcome(NOTHING)


VCPU_EVENTS: dict[Kind, Callable[[UserSpace, Vcpu, tuple[int, ...]], Outcome]] = {
    Kind.SMM: UserSpace.smm,
    Kind.GUEST_MODE: UserSpace.guest_mode,
    Kind.RELOAD: UserSpace.reload,
}
VM_OPS: dict[Kind, Callable[[UserSpace, tuple[int, ...]], Outcome]] = {
    Kind.MEMSLOT_CREATE: UserSpace.memslot_create,
    Kind.MEMSLOT_DELETE: UserSpace.memslot_delete,
    Kind.MEMSLOT_MOVE: UserSpace.memslot_move,
    Kind.MEMSLOT_FLAGS: UserSpace.memslot_flags,
    Kind.DIRTY_GET: UserSpace.dirty_get,
    Kind.DIRTY_CLEAR: UserSpace.dirty_clear,
    Kind.MMU_PAGES: UserSpace.mmu_pages,
    Kind.TRACK_ADD: UserSpace.track_add,
    Kind.TRACK_REMOVE: UserSpace.track_remove,
    Kind.NX: UserSpace.nx,
    Kind.ZAP_GFN_RANGE: UserSpace.zap_gfn_range,
    Kind.VCPU_CREATE: UserSpace.vcpu_create,
    Kind.NX_RECOVER: UserSpace.nx_recover,
    Kind.SYNC: UserSpace.sync,
    # A guest without page tables of its own.
    **dict.fromkeys(GUEST_KINDS, UserSpace.sync),
}
