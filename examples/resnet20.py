"""ResNet-20 for 32x32 images, written in plain torch as a user's own file would be."""

import torch.nn.functional as F
from torch import nn

input = (3, 32, 32)
classes = 10


def conv(width_in, width, stride=1):
    return nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)


class Block(nn.Module):
    def __init__(self, width_in, width, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(width_in, width, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width), nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.shortcut = nn.Sequential()
        if width_in != width:
            self.shortcut.append(nn.Conv2d(width_in, width, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(width))

    def forward(self, x):
        inner = self.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


def build_model():
    layers = [conv(3, 16), nn.BatchNorm2d(16), nn.ReLU()]
    width_in = 16
    for width in (16, 32, 64):
        for _ in range(3):
            layers.append(Block(width_in, width, 1 if width_in == width else 2))
            width_in = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))
