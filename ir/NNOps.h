//===- NNOps.h - all ops of the nn dialect, for tables of them ------------===//
#pragma once

#include "ir/AttentionOps.h"
#include "ir/GatherOps.h"
#include "ir/ImageOps.h"
#include "ir/LabelOps.h"
#include "ir/LinearAlgebraOps.h"
#include "ir/NNDialect.h"
#include "ir/OutlinedOps.h"
#include "ir/QuantOps.h"
#include "ir/RandomOps.h"
#include "ir/RecurrentOps.h"
#include "ir/SelectionOps.h"
#include "ir/SequenceOps.h"
#include "ir/SignalOps.h"
#include "ir/TextOps.h"
#include "ir/TreeOps.h"
#include "ir/VisionOps.h"
