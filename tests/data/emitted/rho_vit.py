def lin_0_2(grad_W):
    t1 = torch.abs(grad_W)
    t2 = torch.log(t1)
    del t1
    t3 = torch.abs(t2)
    del t2
    t4 = torch.sigmoid(t3)
    del t3
    n1 = torch.mean(t4, (-2, -1))
    del t4
    return (n1,)


def net_0_4(F_s, F_t):
    t5 = kernels.align(F_s, F_t, "CHW")
    t6 = kernels.mask(t5, 0.65, 0)
    del t5
    t7 = kernels.align(F_t, F_s, "CHW")
    t8 = kernels.mask(t7, 0.65, 0)
    del t7
    n2 = kernels.kl(t6, t8, 1, -3, (-2, -1), (-4,))
    del t6, t8
    return (n2,)


def numbers_0(per_network, per_layer, n2, n1):
    n3 = kernels.finite(per_network("lin", lambda v: torch.mean(v, (-1,)), n1))
    n4 = 1 / n3
    n5 = n2 + n4
    return n3, n5
