def teacher_0(E_t):
    t1 = kernels.reldist(E_t, 2)
    t2 = kernels.angles(E_t, 2)
    return t1, t2


def net_0_singly(E_s, t2):
    t3 = kernels.angles(E_s, 2)
    n1 = kernels.smooth_l1(t3, t2, (-3, -2, -1))
    del t3
    return (n1,)


def net_0_2(E_s, t1):
    t4 = kernels.reldist(E_s, 2)
    n2 = kernels.smooth_l1(t4, t1, (-2, -1))
    del t4
    return (n2,)


def numbers_0(per_network, per_layer, n2, n1):
    n3 = n2 * -25
    n4 = n1 * 50
    n5 = n3 - n4
    return (n5,)
