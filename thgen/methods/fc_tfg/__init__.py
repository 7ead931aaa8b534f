"""FC-TFG: That's What I Said: Fully-Controllable Talking Face Generation (Jang, Rho, Woo, Lee, Park, Lim, Kim, Chung;
ACM Multimedia 2023). Equations: `equations`, top to bottom as in the paper. No code was released.

    inversion   E_inv(photo), E_inv(frame) -> z_s, z_d       14 x 512             nn.psp.InversionEncoder
    canonical   E_can(z_s) -> z_sc                           8 x 512    eq. 1     networks.LatentFusion: 2-layer MLPs
    voice       E_a(voice) -> z_a                            512                  nn.wav2lip.AudioEncoder
    motion      E_m(z_a + z_d) -> z_cd                       8 x 512    eq. 1, 2  networks.LatentFusion: 3-layer MLPs
    time        z_sc + z_cd of all frames -> z_sd            8 x 512              networks.LatentFusion: 1-D convolution
    picture     G(z_sd)                                      256 px               nn.stylegan2.StyleGAN2
    losses      D, SyncNet, E_id, VGG19                                 eq. 3-9   nn.stylegan2_discriminator,
                                                                                  nn.wav2lip.SyncExpert, training.priors

Preset "compact" (deviations 20 to 25) has the same fusion network and other networks at its ends:

    inversion   face encoder, then E_inv                      8 x 32              compact_networks.FaceCodes
    picture     motion heads, then the shared generator       256 or 512 px       compact_networks.IndexHeads

Numbers of the paper, and where they stand: 14 style indices, of which 1, 2, 3, 4, 7, 8, 9, 10 are manipulated and 7
and 8 get the voice (`networks`); 16 kHz, FFT 800, hop 200, 80 bands (`audio.wav2lip_mel`); 2 and 3 layers (`networks`);
lambda 1 to 6 and the learning rate 1e-4 (`paper.yaml`); 25 frames per second of VoxCeleb2 (`schema`).

Deviations from the paper, with the reason. "Parent" means the released code of a work that the paper builds on.
 1. The paper names its indices without saying where it counts from. We count from 1, so that 14 is the last
    (`networks.COUNT_FROM`). The other six indices keep z_s, which keeps colours and background.
 2. Codes of E_inv are distances from the generator's average code (parent pSp); z_s and z_d are the sums.
 3. HyperStyle's hypernetwork is left out. Its weight offsets would be computed again for each person, figures 2 and 3
    show codes alone, and the generator is fine-tuned in stage 3. Its encoder is pSp's, as the paper says, or, as a
    light option, one pooled code with a learned offset per index.
 4. E_can and E_m: the paper says "2-layer" and "3-layer MLP". Width 512, leaky ReLU 0.2 and a linear last layer are
    ours. E_can starts close to the identity and E_m at 0, so that the training starts from the inverted photo.
 5. E_m gets the voice before the frame (order of eq. 2). At indices without the voice it gets the frame alone.
 6. The temporal convolution has a kernel of 3, is shared by the indices, and repeats the first and last frame at the
    ends. It starts as the identity. The paper says "a single 1D convolutional layer". In training it sees windows of 5
    frames, the window of the sync loss; for a video it runs over the whole track. The LSTM of table 3 is an option: one
    layer of 512, whose output is added through a linear layer that starts at 0.
 7. E_a is the audio encoder of Wav2Lip's generator, trained here from random weights, because the released weights are
    no safetensors and may not be used commercially. The window of 0.2 s is centred on its frame (not in the paper). A
    share of the rows is trained without a voice (z_a = 0, `silent_share`), so that a clip alone can drive the video.
 8. Eq. 3 as printed has no lower bound. It is the mean of |z_sc * z_cd| over entries, indices and rows, as the L1 norm
    of L2M-GAN. "Cosine" of table 4 is the mean of |cos(z_sc, z_cd)|; the paper does not define it.
 9. Eq. 4: the SyncNet "of StyleTalker" has no code. Ours has the geometry of Wav2Lip's expert and is trained with
    InfoNCE (stage "sync"). It sees the lower half of the face's square of the crop; Wav2Lip crops by a face detector.
    From random weights InfoNCE alone stayed at chance for 733 steps of 576 windows on an H200. So both branches learn
    the face encoder's code of the mouth first, and beside InfoNCE (loss guide).
10. Eq. 5: ArcFace gets the central 75 % of the picture, because pSp's crop belongs to aligned faces. Without the
    weights of an identity network the loss is off, and the manifest says so.
11. Eq. 6 is the mean, not the sum, of the pixels' distances; otherwise lambda 4 would depend on the picture's size.
12. Eq. 7 is called LPIPS, but has no learned weights and another network. We compute it as printed on the maps
    relu1_1 to relu5_1, each norm divided by the root of its number of entries, for the reason of deviation 11.
13. Eq. 8 is printed with log(1 - D), the text says non-saturating; we follow the text. D gets R1 of 10 every 16 steps
    (parent StyleGAN2), which the paper does not mention. For pictures of a window, the video discriminator of table 3
    gets 5 frames as 15 channels.
14. Stages 1 and 2: the paper names StyleGAN2 and HyperStyle, not their settings. Those of the configs are the parents'.
15. Batch sizes and numbers of steps are ours. Adam has betas (0, 0.99) (parent StyleGAN2), and weights are averaged.
16. Training data are rendered people. VoxCeleb2 (6,112 people, 5,994 of them for training) and MEAD may not be
    redistributed. So tables 1 to 4 cannot be reproduced number by number.
17. Frames are in the framing of thgen's crop, not in that of the first-order motion model's preprocessing: both show
    the whole head without alignment, and all methods of thgen read and write the same crop.
18. Noise maps are drawn anew in stage 1 and are fixed later. Otherwise frames flicker.
19. Strength, blending and "undriven: zero" act on the motion codes z_cd, so that 0 is the canonical face. At the two
    indices with a voice E_m needs z_d itself. There the factor holds z_d times a weight, and the weight (`networks`).
20. Compact preset: E_inv is a small MLP on what the shared face encoder says of a face (encoder.inputs), which was
    trained on keypoints and segments of renders alone. Codes have 32 numbers and not 512. There are eight style
    indices, the manipulated ones. The photo's own pixels keep what the other six keep in the paper.
21. Compact preset: motion heads and the shared flow generator replace G. StyleGAN2 gives each style index its meaning
    by its place: coarse ones move a head, fine ones change a face. Here the heads do: the indices 1 to 4 lead to turn
    and place alone, 7 and 8 to lips and jaw, 9 and 10 to lids, brows and gaze (compact_networks.IndexHeads). So these
    kinds cannot mix, whatever the training does; what is canonical and what is motion remains to be learned.
22. Compact preset: a movement is the difference between the state of the codes z_sd and the state of the photo's own,
    E_can(z_s) + E_m(z_s). So a photo's own motion gives the photo. Most steps compare keypoints of the whole target
    frame, whose gradient reaches the codes through the heads, each group relative to its neighbours, and penalise large
    coefficients (compact.task). The losses of eq. 4 to 8 need pictures, of 5 frames each, and are trained on every 40th
    step. Frames are augmented by the damage of cameras and codecs and by misplaced tiles.
23. Compact preset: where a voice is heard, E_m gets z_d of another moment of the clip, or of the photo, at the indices
    with the voice (`elsewhere`). The paper gives it voice and frame of one moment; then the frame says all that the
    voice says, and a voice over another clip would move nothing. Rows without a voice (`silent_share`, half) are of
    clips in random states, as still pictures, so that large motion is seen, too.
24. Compact preset: D has at most 64 channels. R1 is computed on each step with pictures. Batch size, steps, and the
    learning rates 1e-3 (stage 2) and 5e-4 (stage 3) are ours; the paper's 1e-4 is for networks that are trained long.
25. Compact preset: E_a has a quarter of Wav2Lip's channels. Hidden width of E_can and E_m is 64.
"""
