//===- ImageOps.td - images in files --------------------------------------===//
#ifndef QUERN_IR_IMAGEOPS_TD
#define QUERN_IR_IMAGEOPS_TD

include "ir/NNBase.td"

def NN_ImageDecodeOp : NN_Op<"image_decode"> {
  let summary = "the pixels of an image file, ui8 [height, width, channel]";
  let description = "The channels are those of `pixel_format`: RGB, BGR or Grayscale.";
  let arguments = (ins NN_Tensor:$input, StrAttr:$pixel_format);
  let results = (outs NN_Tensor:$result);
}

#endif // QUERN_IR_IMAGEOPS_TD
