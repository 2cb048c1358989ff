def teacher_0(grad_V_t, F_t):
    t1 = kernels.bmm(grad_V_t, 2)
    t2 = kernels.l2norm(t1, -2)
    del t1
    t3 = kernels.mm(F_t, 4)
    t4 = kernels.l2norm(t3, -1)
    del t3
    return t2, t4


def net_0_singly(grad_V_s, t2):
    t5 = kernels.bmm(grad_V_s, 2)
    t6 = kernels.l2norm(t5, -2)
    del t5
    t7 = t6 - t2
    del t6
    t8 = kernels.power(t7, 2)
    del t7
    t9 = torch.sum(t8, (-2,))
    del t8
    n1 = torch.mean(t9, (-2, -1))
    del t9
    return (n1,)


def net_0_4(F_s, t4):
    t10 = kernels.mm(F_s, 4)
    t11 = kernels.l2norm(t10, -1)
    del t10
    n2 = torch.mean((t11 - t4).square_(), (-2, -1))
    del t11
    return (n2,)


def numbers_0(per_network, per_layer, n1, n2):
    n3 = -n1
    n4 = n3 - n2
    return (n4,)
