#!/bin/bash
# Puts gdump into a kdump initramfs under makedumpfile's name.
#
# This module comes before 99kdumpbase, whose own `inst /sbin/makedumpfile` then finds the name taken and adds neither
# that program nor its libraries.

# By itself where the initramfs is for kdump, elsewhere if it is asked for.
check() {
    require_binaries gdump || return 1
    [[ " $dracutmodules $add_dracutmodules $force_add_dracutmodules " =~ \ (kdumpbase|kdump)\  ]] && return 0
    return 255
}

depends() {
    return 0
}

install() {
    local name
    inst_binary "$(find_binary gdump)" /usr/bin/gdump
    for name in /usr/sbin/makedumpfile /usr/bin/makedumpfile; do
        # where sbin is a link to bin, both are one
        [[ -e "$initdir$name" ]] || ln_r /usr/bin/gdump "$name"
    done
}
